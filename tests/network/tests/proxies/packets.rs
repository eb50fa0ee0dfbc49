//! A machine on the bridge connects to a port of the address and is answered by what listens in the namespace;
//! its question who has the address does not leave the host.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread::JoinHandle;

use remotes_network_tests::{By, Elsewhere, Wired, proxied, sh};

use super::host;

const SERVICE: &str = "169.254.16.9:5030";
/// The address as frames have it, and that of a host which is not there.
const ADDRESS: [u8; 4] = [169, 254, 16, 9];
const NOBODY: [u8; 4] = [10, 73, 0, 99];

/// Answers one connection in the proxy's namespace, as the daemon would.
fn answer() -> JoinHandle<()> {
    let namespace = File::open("/run/netns/one_tproxy_br0").unwrap();
    let listening = std::thread::spawn(move || {
        nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        TcpListener::bind(SERVICE).unwrap()
    });
    let listener = listening.join().unwrap();
    std::thread::spawn(move || {
        let (mut peer, from) = listener.accept().unwrap();
        assert_eq!(from.ip().to_string(), "10.73.0.20", "the service sees who asks");
        peer.write_all(b"onegate").unwrap();
    })
}

/// What the machine gets from the service; then it looks for somebody whom nobody answers for.
fn ask(machine: &Elsewhere) -> String {
    let asking = machine.run(|| {
        sh("ip neighbour flush dev inner");
        let mut text = String::new();
        TcpStream::connect(SERVICE).unwrap().read_to_string(&mut text).unwrap();
        let socket = UdpSocket::bind("10.73.0.20:0").unwrap();
        socket.send_to(b"?", "10.73.0.99:9").unwrap();
        text
    });
    asking.join().unwrap()
}

#[test]
fn machines_reach_services_and_ask_no_other_host_for_them() {
    proxied(|_| {
        let _grounds = host(By::Own);
        let (machine, uplink) = (Elsewhere::default(), Wired::plug_into_bridge("br0", "eth1"));
        machine.plug("one-73-0", "02:00:0a:49:00:14");
        let route = "ip address add 10.73.0.20/24 dev inner; ip route add 169.254.16.9/32 dev inner";
        machine.run(move || sh(route)).join().unwrap();
        let answered = answer();
        assert_eq!(ask(&machine), "onegate");
        answered.join().unwrap();
        assert_eq!(uplink.until(&ADDRESS, &NOBODY), Vec::<Vec<u8>>::new(), "the question left the host");
        // Without the rule it does: somebody would have seen it.
        sh("nft flush chain bridge one_tproxy ch_br0");
        let answered = answer();
        assert_eq!(ask(&machine), "onegate");
        answered.join().unwrap();
        assert!(!uplink.until(&ADDRESS, &NOBODY).is_empty());
    });
}

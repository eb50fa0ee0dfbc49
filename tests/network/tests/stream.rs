//! Packets on their way through a bridge while the security groups of a machine change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use remotes_effect::vnm::Call;
use remotes_network_tests::{By, Elsewhere, Grounds, isolated, sh};

/// A port that both rule sets open, one that neither does.
const OPEN: u16 = 5000;
const CLOSED: u16 = 6000;

fn rule(range: &str, more: &str) -> String {
    format!(
        "<SECURITY_GROUP_RULE><PROTOCOL>UDP</PROTOCOL><RULE_TYPE>INBOUND</RULE_TYPE><RANGE>{range}</RANGE>{more}\
        <SECURITY_GROUP_ID>1</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>"
    )
}

fn machine(rules: &str, most: usize) -> String {
    format!(
        "<VM><ID>7</ID><DEPLOY_ID>one-7</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE>{rules}<NIC><NIC_ID>0</NIC_ID><VN_MAD>fw</VN_MAD><BRIDGE>br0</BRIDGE><MAC>02:00:00:00:00:07</MAC>\
        <CONF>ipset_maxelem={most}</CONF><IP>10.9.0.7</IP><SECURITY_GROUPS>1</SECURITY_GROUPS></NIC></TEMPLATE></VM>"
    )
}

const DOMAIN: &str = "<domain type='kvm'><name>one-7</name><devices><interface type='bridge'>\
    <mac address='02:00:00:00:00:07'/><target dev='one-7-0'/></interface></devices></domain>";

/// Counts what arrives at a port.
fn receive(machine: &Elsewhere, port: u16, end: Arc<AtomicBool>) -> JoinHandle<u64> {
    machine.run(move || {
        let socket = UdpSocket::bind(("10.9.0.7", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let (mut buffer, mut count) = ([0; 64], 0);
        loop {
            match socket.recv(&mut buffer) {
                Ok(_) => count += 1,
                Err(_) if end.load(Ordering::Relaxed) => return count,
                Err(_) => {}
            }
        }
    })
}

#[test]
fn a_changing_group_neither_opens_nor_interrupts() {
    change(By::Own, 100, 0);
}

/// Sets of another size are not the same sets.
#[test]
fn nor_when_its_sets_change_their_size() {
    change(By::Own, 50, 1);
    change(By::Stock, 10, 1);
}

#[test]
fn nor_when_root_changes_it_for_the_driver() {
    change(By::Server, 100, 0);
}

#[test]
fn nor_when_it_changes_rule_by_rule() {
    change(By::Stock, 20, 0);
}

fn change(by: By, rounds: usize, growth: usize) {
    isolated(move || {
        sh("ip link add br0 type bridge; ip link set br0 up");
        sh("sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1");
        let (guest, other) = (Elsewhere::default(), Elsewhere::default());
        for (machine, port, address, mac) in
            [(&guest, "one-7-0", "10.9.0.7", "02:00:00:00:00:07"), (&other, "eth1", "10.9.0.1", "02:00:00:00:00:01")]
        {
            machine.plug(port, mac);
            machine.run(move || sh(&format!("ip addr add {address}/24 dev inner"))).join().unwrap();
        }
        let mut grounds = Grounds::by(by);
        grounds.domain(DOMAIN);
        // One lets the port through by itself, one by a network; what else they say differs.
        let sets = [
            rule("5000,7000:7010", "") + &rule("22", "<IP>10.9.0.0</IP><SIZE>4</SIZE>"),
            rule("5000", "<IP>10.9.0.0</IP><SIZE>256</SIZE>") + &rule("443", "<IP>192.168.0.0</IP><SIZE>256</SIZE>"),
        ];
        let call = Call::Post { vm: machine(&sets[0], 1000), deploy_id: "one-7".into(), host: "h".into() };
        assert!(matches!(grounds.call("fw", call).result, Some(Ok(_))));

        let (end, received_end, sent) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let open = receive(&guest, OPEN, received_end.clone());
        let closed = receive(&guest, CLOSED, received_end.clone());
        let (stop, count) = (end.clone(), sent.clone());
        // The neighbours learn of each other before anything is counted.
        other
            .run(|| {
                sh("arping -c 1 -I inner 10.9.0.7 >/dev/null 2>&1 || ping -c 1 -W 1 10.9.0.7 >/dev/null 2>&1 || true")
            })
            .join()
            .unwrap();
        let sender = other.run(move || {
            let socket = UdpSocket::bind(("10.9.0.1", 0)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                socket.send_to(b"open", ("10.9.0.7", OPEN)).unwrap();
                socket.send_to(b"closed", ("10.9.0.7", CLOSED)).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        for round in 1..=rounds {
            let call =
                Call::UpdateSg { vm: machine(&sets[round % 2], 1000 + round * growth), deploy_id: "one-7".into() };
            let outcome = grounds.call("fw", call);
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        }
        end.store(true, Ordering::Relaxed);
        sender.join().unwrap();
        received_end.store(true, Ordering::Relaxed);
        let (open, closed, sent) = (open.join().unwrap(), closed.join().unwrap(), sent.load(Ordering::Relaxed));
        assert!(sent > 1000, "only {sent} packets were sent");
        assert_eq!((open, closed), (sent, 0), "of {sent} packets to each port");
    });
}

//! A machine on a port of a bridge, as far as its frames.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::{Elsewhere, sh};

/// The end of a link whose other end is a port.
pub struct Wired {
    socket: OwnedFd,
    _machine: Elsewhere,
}

impl Wired {
    /// Makes a link of this name, and plugs it into a bridge with these columns of a port.
    pub fn plug(bridge: &str, port: &str, columns: &str) -> Self {
        let machine = Elsewhere::default();
        sh(&format!("ip link add {port} type veth peer name inner; ip link set inner netns {}", machine.id()));
        sh(&format!("ip link set {port} up; ovs-vsctl --timeout=20 add-port {bridge} {port} {columns}"));
        // Nothing that the kernel says by itself.
        machine.run(|| sh("sysctl -qw net.ipv6.conf.inner.disable_ipv6=1; ip link set inner up")).join().unwrap();
        let socket = machine.run(packet_socket).join().unwrap();
        Self { socket, _machine: machine }
    }

    /// Makes a link of this name, and a port of a bridge of the kernel's of it.
    pub fn plug_into_bridge(bridge: &str, port: &str) -> Self {
        let machine = Elsewhere::default();
        sh(&format!("ip link add {port} type veth peer name inner; ip link set inner netns {}", machine.id()));
        sh(&format!("ip link set {port} master {bridge} up"));
        machine.run(|| sh("sysctl -qw net.ipv6.conf.inner.disable_ipv6=1; ip link set inner up")).join().unwrap();
        let socket = machine.run(packet_socket).join().unwrap();
        Self { socket, _machine: machine }
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) {
        assert_eq!(send(self.socket.as_raw_fd(), frame, MsgFlags::empty()).unwrap(), frame.len());
    }

    /// The frames with this mark that come in, until one of them is `last`.
    ///
    /// # Panics
    /// When that does not come.
    pub fn until(&self, mark: &[u8], last: &[u8]) -> Vec<Vec<u8>> {
        let start = Instant::now();
        setsockopt(&self.socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(500)).unwrap();
        let (mut frames, mut buffer) = (Vec::new(), [0; 2048]);
        while start.elapsed() < Duration::from_secs(30) {
            let Ok(length) = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else { continue };
            let frame = &buffer[..length];
            if frame.windows(last.len()).any(|part| part == last) {
                return frames;
            }
            if frame.windows(mark.len()).any(|part| part == mark) {
                frames.push(frame.to_vec());
            }
        }
        panic!("the last frame did not come; before it came {}", frames.len());
    }
}

/// All frames of the link `inner` of the calling thread's namespace.
pub fn packet_socket() -> OwnedFd {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
    let mut addresses = nix::ifaddrs::getifaddrs().unwrap().filter(|link| link.interface_name == "inner");
    let address = addresses.find_map(|link| Some(*link.address?.as_link_addr()?)).unwrap();
    bind(socket.as_raw_fd(), &address).unwrap();
    socket
}

//! Addresses of hosts by their names, as the system looks them up.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::network::proxies;
use remotes_effect::types::Failure;

/// How long a name server may take: it is the start of a machine that waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// The IPv4 address of a host; the first of several.
pub(super) fn resolve(name: &str, deadline: Deadline) -> Result<String, Failure> {
    proxies::host(name)?;
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return Ok(address.to_string());
    }
    // The system's resolver cannot be told when to stop.
    let ((sender, receiver), asked) = (channel(), name.to_owned());
    let look = move || {
        let found = (asked.as_str(), 0).to_socket_addrs().map(|found| found.collect::<Vec<_>>());
        let _ = sender.send(found);
    };
    let started = std::thread::Builder::new().spawn(look);
    started.map_err(|error| Failure::failed(format!("host {name}: cannot start a thread to look it up: {error}")))?;
    match receiver.recv_timeout(PATIENCE.min(deadline.left())) {
        Ok(Ok(found)) => {
            let first = found.iter().find_map(|address| match address {
                SocketAddr::V4(address) => Some(address.ip().to_string()),
                SocketAddr::V6(_) => None,
            });
            first.ok_or_else(|| Failure::not_found(format!("host {name}: has no IPv4 address")))
        }
        Ok(Err(error)) => Err(Failure::not_found(format!("host {name}: cannot be looked up: {error}"))),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Err(Failure::timeout(format!("host {name}: no name server answered in time")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::types::FailureKind;

    use super::*;

    #[test]
    fn addresses_stand_for_themselves_and_names_for_addresses() {
        let resolve = |name: &str| resolve(name, Deadline::after(Duration::from_secs(30)));
        assert_eq!(resolve("10.11.12.13").unwrap(), "10.11.12.13");
        assert_eq!(resolve("localhost").unwrap(), "127.0.0.1");
        assert_eq!(resolve("fd00::1").unwrap_err().kind, FailureKind::Invalid);
        let unknown = resolve("no-such-host.invalid").unwrap_err();
        assert!(matches!(unknown.kind, FailureKind::NotFound | FailureKind::Timeout), "{unknown}");
    }
}

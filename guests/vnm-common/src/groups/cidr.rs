//! Ranges of addresses as networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use remotes_sdk::Failure;
use remotes_sdk::iptables::Family;

/// The family of an address.
pub fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

/// Reads an address.
pub fn address(text: &str) -> Result<IpAddr, Failure> {
    text.trim().parse().map_err(|_| Failure::invalid(format!("{text:?}: expected an IPv4 or IPv6 address")))
}

/// The networks that hold `count` addresses from `first` on, and no others, in the order of their
/// addresses. A range that leaves the family's addresses ends with the last of them.
pub fn networks(first: IpAddr, count: u128) -> Vec<String> {
    let (width, mut next) = match first {
        IpAddr::V4(v4) => (32, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (128, u128::from(v6)),
    };
    let last = if width == 32 { u128::from(u32::MAX) } else { u128::MAX };
    let Some(mut left) = count.checked_sub(1).map(|more| next.saturating_add(more).min(last) - next) else {
        return Vec::new();
    };
    // `left` is one less than the number of addresses, so that all of them can be counted.
    let mut networks = Vec::new();
    loop {
        let aligned = if next == 0 { width } else { next.trailing_zeros().min(width) };
        let fitting = left.checked_add(1).map_or(width, |count| 127 - count.leading_zeros());
        // ipset has no network of all addresses; two halves are the same.
        let bits = aligned.min(fitting).min(width - 1);
        networks.push(format!("{}/{}", shown(next, width), width - bits));
        let size = 1u128 << bits;
        if left < size {
            return networks;
        }
        left -= size;
        next += size;
    }
}

fn shown(value: u128, width: u32) -> IpAddr {
    match width {
        32 => Ipv4Addr::from(u32::try_from(value).unwrap_or(u32::MAX)).into(),
        _ => Ipv6Addr::from(value).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_split_at_their_alignment() {
        let split = |first: &str, count| networks(first.parse().unwrap(), count);
        assert_eq!(split("10.0.0.5", 13), ["10.0.0.5/32", "10.0.0.6/31", "10.0.0.8/29", "10.0.0.16/31"]);
        assert_eq!(split("192.168.10.0", 256), ["192.168.10.0/24"]);
        assert_eq!(split("2001:db8:1::", 256), ["2001:db8:1::/120"]);
        assert_eq!(split("0.0.0.0", 1 << 32), ["0.0.0.0/1", "128.0.0.0/1"]);
        assert_eq!(split("255.255.255.254", 10), ["255.255.255.254/31"]);
        assert_eq!(split("::", u128::MAX).len(), 128);
        assert_eq!(split("10.0.0.1", 0), [""; 0]);
    }

    proptest! {
        #[test]
        fn a_range_is_covered_once(first in any::<u32>(), count in 1u128..100_000) {
            let mut next = u128::from(first);
            for network in networks(Ipv4Addr::from(first).into(), count) {
                let (address, bits) = network.split_once('/').unwrap();
                let address: Ipv4Addr = address.parse().unwrap();
                prop_assert_eq!(u128::from(u32::from(address)), next);
                let size = 1u128 << (32 - bits.parse::<u32>().unwrap());
                prop_assert_eq!(next % size, 0);
                next += size;
            }
            prop_assert_eq!(next, (u128::from(first) + count).min(1 << 32));
        }
    }
}

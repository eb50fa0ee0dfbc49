//! Names and addresses. Whatever passes here is one word to every tool and no option of any.

use std::net::IpAddr;

use crate::iptables::Family;
use crate::types::Failure;

/// Longest name of a link, in bytes.
const LONGEST_LINK: usize = 15;
/// Longest name of a chain, in bytes.
const LONGEST_CHAIN: usize = 28;
/// Longest name of a set, in bytes.
const LONGEST_SET: usize = 31;

/// Names of chains that mean something else where a chain's name could stand.
const RESERVED: [&str; 14] = [
    "INPUT",
    "FORWARD",
    "OUTPUT",
    "PREROUTING",
    "POSTROUTING",
    "ACCEPT",
    "DROP",
    "RETURN",
    "QUEUE",
    "REJECT",
    "LOG",
    "DNAT",
    "SNAT",
    "MASQUERADE",
];

fn word(what: &str, text: &str, longest: usize, more: &str) -> Result<(), Failure> {
    let fit = !text.is_empty()
        && text.len() <= longest
        && !text.starts_with(['-', '!'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte));
    match fit {
        true => Ok(()),
        false => Err(Failure::invalid(format!(
            "{what} {text:?}: expected 1 to {longest} letters, digits or {more:?}, and no dash in front"
        ))),
    }
}

/// A link's name: one that no tool takes for an option, and no file for a path.
pub fn link(name: &str) -> Result<(), Failure> {
    word("link", name, LONGEST_LINK, "._-@:")?;
    match name {
        "." | ".." | "all" | "default" => Err(Failure::invalid(format!("link {name:?}: this is no name of a link"))),
        _ => Ok(()),
    }
}

/// A chain's name; the built-in ones pass as well.
pub fn chain(name: &str) -> Result<(), Failure> {
    word("chain", name, LONGEST_CHAIN, "._-")
}

/// Whether a chain is one of the system's, or shares its name with a target.
pub fn is_reserved(chain: &str) -> bool {
    RESERVED.contains(&chain)
}

/// The name of a set of addresses.
pub fn set(name: &str) -> Result<(), Failure> {
    word("set", name, LONGEST_SET, "._-")
}

/// A member of a set, as ipset takes it.
pub fn member(text: &str) -> Result<(), Failure> {
    word("member of a set", text, 128, ".:,/-_")
}

/// The name of a lock.
pub fn lock(name: &str) -> Result<(), Failure> {
    word("lock", name, 64, ":_-")
}

/// The name of a hook's file.
pub fn hook(name: &str) -> Result<(), Failure> {
    let fit = !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && !name.contains('/')
        && !name.chars().any(char::is_control);
    if fit {
        Ok(())
    } else {
        Err(Failure::invalid(format!("hook {name:?}: expected the name of a file in the folder")))
    }
}

/// A protocol's name or number.
pub fn protocol(name: &str) -> Result<(), Failure> {
    word("protocol", name, 20, "-")
}

/// An Ethernet address, six pairs of hexadecimal digits.
pub fn mac(text: &str) -> Result<(), Failure> {
    let pairs: Vec<&str> = text.split(':').collect();
    let fit =
        pairs.len() == 6 && pairs.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
    if fit { Ok(()) } else { Err(Failure::invalid(format!("MAC {text:?}: expected six pairs of hexadecimal digits"))) }
}

/// An address of either family.
pub fn address(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("address {text:?}: expected an IPv4 or IPv6 address")))
}

/// A network: its first address and the length of its prefix; that of a single address where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// an address in it
    pub address: IpAddr,
    /// bits that all of its addresses share
    pub bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::1`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = self::address(address)?;
        let longest = width(address);
        let bits = match bits {
            None => longest,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= longest).ok_or_else(|| {
                Failure::invalid(format!("network {text:?}: expected a prefix of at most {longest} bits"))
            })?,
        };
        Ok(Self { address, bits })
    }

    /// The family it is of.
    pub fn family(&self) -> Family {
        if self.address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// Whether it holds just one address.
    pub fn is_single(&self) -> bool {
        self.bits == width(self.address)
    }

    /// Whether all of `other` lies in it.
    pub fn holds(&self, other: &Self) -> bool {
        let shift = u32::from(width(self.address) - self.bits);
        let top = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        };
        let shifted = |value: u128| value.checked_shr(shift).unwrap_or(0);
        self.address.is_ipv4() == other.address.is_ipv4()
            && other.bits >= self.bits
            && shifted(top(self.address)) == shifted(top(other.address))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_are_something_else_are_refused() {
        for name in ["", "-x", "!x", "a b", "a\nb", "a/b", "..", "x;y", "a'b", "eth0 up", "$(id)", "abcdefghijklmnop"] {
            assert!(link(name).is_err(), "{name:?}");
        }
        for name in ["", "-A", "a b", "a\nCOMMIT", "one-1-0-i\n-A INPUT -j ACCEPT", "abcdefghijklmnopqrstuvwxyz012"] {
            assert!(chain(name).is_err(), "{name:?}");
        }
        for name in ["eth0", "br0", "eth1.77", "onebr.100", "one-1-0", "bond0.100"] {
            link(name).unwrap();
        }
    }

    #[test]
    fn networks_hold_what_lies_in_them() {
        let holds = |a: &str, b: &str| Network::parse(a).unwrap().holds(&Network::parse(b).unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(!holds("10.0.0.0/8", "10.0.0.0/7"));
        assert!(holds("0.0.0.0/0", "255.255.255.255"));
        assert!(holds("::/0", "fe80::1"));
        assert!(!holds("::/0", "10.0.0.1"));
        assert!(holds("fd00::/8", "fd12:3456::1/64"));
    }

    proptest! {
        #[test]
        fn what_passes_is_one_word(text in "\\PC{0,40}|[a-z0-9.-]{0,40}") {
            for fit in [link(&text), chain(&text), set(&text), member(&text), lock(&text), protocol(&text)] {
                if fit.is_ok() {
                    prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.starts_with('-'));
                }
            }
        }
    }
}

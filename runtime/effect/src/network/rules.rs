//! Rules as iptables takes them, in the form in which `iptables-save` lists them, so that what is there
//! can be compared with what is wanted.

use std::net::IpAddr;

use super::names::{self, Network};
use crate::iptables::{Condition, Family, Physdev, Ports, Redirection, Rule, SetLookup, Side, Target};
use crate::types::Failure;

/// Most ports of one `-m multiport`; a range counts for two.
pub const MOST_PORTS: usize = 15;

/// The words of a rule behind the chain's name. No word has a blank in it.
pub fn words(rule: &Rule, family: Family) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut say = |parts: &[&str]| words.extend(parts.iter().map(|part| (*part).to_owned()));
    // iptables-save lists networks first, then the protocol, then the matches in their order.
    for condition in &rule.conditions {
        if let Condition::FromNetwork(network) = condition {
            say(&["-s", &self::network(network, family)?]);
        }
    }
    for condition in &rule.conditions {
        if let Condition::ToNetwork(network) = condition {
            say(&["-d", &self::network(network, family)?]);
        }
    }
    let protocol = protocol(rule, family)?;
    if let Some(protocol) = protocol.as_deref().filter(|name| *name != "all") {
        say(&["-p", protocol]);
    }
    let mut with_ports = false;
    for condition in &rule.conditions {
        match condition {
            Condition::FromNetwork(_) | Condition::ToNetwork(_) | Condition::Protocol(_) => {}
            Condition::FromPorts(_) | Condition::ToPorts(_) => {
                let protocol =
                    protocol.as_deref().ok_or_else(|| Failure::invalid("ports need a protocol".to_owned()))?;
                if !with_ports {
                    say(&["-m", protocol]);
                    with_ports = true;
                }
                match condition {
                    Condition::FromPorts(ports) => say(&["--sport", &range(ports)?]),
                    Condition::ToPorts(ports) => say(&["--dport", &range(ports)?]),
                    _ => {}
                }
            }
            Condition::ToAnyPort(ports) => say(&["-m", "multiport", "--dports", &self::ports(ports)?]),
            Condition::IcmpType(number) => say(&["-m", "icmp", "--icmp-type", &number.to_string()]),
            Condition::Icmpv6Type(number) => say(&["-m", "icmp6", "--icmpv6-type", &number.to_string()]),
            Condition::Physdev(physdev) => say(&physdev_words(physdev)?),
            Condition::NotFromMac(mac) => {
                names::mac(mac)?;
                say(&["-m", "mac", "!", "--mac-source", &mac.to_ascii_lowercase()]);
            }
            Condition::Established => say(&["-m", "state", "--state", "RELATED,ESTABLISHED"]),
            Condition::Lookup(lookup) => {
                let sides = sides(lookup)?;
                say(match lookup.inverted {
                    true => &["-m", "set", "!", "--match-set"],
                    false => &["-m", "set", "--match-set"],
                });
                say(&[&lookup.name, &sides]);
            }
        }
    }
    words.extend(target(&rule.target, family)?);
    Ok(words)
}

/// The chain that a rule in the form of `iptables-save` jumps to, or its target's name.
pub fn target_of(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    words.find(|word| matches!(*word, "-j" | "-g"))?;
    words.next()
}

/// Whether a rule in the form of `iptables-save` has a destination.
pub fn has_destination(line: &str) -> bool {
    line.split(' ').any(|word| word == "-d")
}

/// The name of a target, as `iptables-save` lists it.
pub fn target_name(target: &Target) -> &str {
    match target {
        Target::Accept => "ACCEPT",
        Target::Drop => "DROP",
        Target::Back => "RETURN",
        Target::Jump(chain) => chain,
        Target::Masquerade => "MASQUERADE",
        Target::Redirect(_) => "DNAT",
    }
}

fn protocol(rule: &Rule, family: Family) -> Result<Option<String>, Failure> {
    let mut found = None;
    for condition in &rule.conditions {
        let name = match condition {
            Condition::Protocol(name) => {
                names::protocol(name)?;
                // The names that the tools list them by.
                match name.as_str() {
                    "icmpv6" => "ipv6-icmp",
                    "ah" | "esp" | "tcp" | "udp" | "icmp" | "sctp" | "gre" => name,
                    other => other,
                }
            }
            Condition::IcmpType(_) if family == Family::Ipv4 => "icmp",
            Condition::Icmpv6Type(_) if family == Family::Ipv6 => "ipv6-icmp",
            Condition::IcmpType(_) | Condition::Icmpv6Type(_) => {
                return Err(Failure::invalid("an ICMP type of the other family".to_owned()));
            }
            _ => continue,
        };
        match found.as_deref() {
            Some(other) if other != name => {
                return Err(Failure::invalid(format!("a rule has two protocols, {other} and {name}")));
            }
            _ => found = Some(name.to_owned()),
        }
    }
    Ok(found)
}

fn network(text: &str, family: Family) -> Result<String, Failure> {
    let network = Network::parse(text)?;
    match network.family() == family {
        true => Ok(network.to_string()),
        false => Err(Failure::invalid(format!("network {text:?}: is of the other family than its rule"))),
    }
}

fn range(ports: &Ports) -> Result<String, Failure> {
    let Ports { first, last } = *ports;
    match first.cmp(&last) {
        std::cmp::Ordering::Less => Ok(format!("{first}:{last}")),
        std::cmp::Ordering::Equal => Ok(first.to_string()),
        std::cmp::Ordering::Greater => {
            Err(Failure::invalid(format!("ports {first}:{last}: the first is above the last")))
        }
    }
}

fn ports(list: &[Ports]) -> Result<String, Failure> {
    let weight: usize = list.iter().map(|ports| if ports.first == ports.last { 1 } else { 2 }).sum();
    if list.is_empty() || weight > MOST_PORTS {
        return Err(Failure::invalid(format!(
            "a rule has 1 to {MOST_PORTS} ports (a range counts for two), not {weight}"
        )));
    }
    Ok(list.iter().map(range).collect::<Result<Vec<_>, _>>()?.join(","))
}

fn physdev_words(physdev: &Physdev) -> Result<Vec<&str>, Failure> {
    let mut words = vec!["-m", "physdev"];
    for (option, name) in [("--physdev-in", &physdev.input), ("--physdev-out", &physdev.output)] {
        if let Some(name) = name {
            names::link(name)?;
            words.extend([option, name]);
        }
    }
    if physdev.bridged {
        words.push("--physdev-is-bridged");
    }
    match words.len() {
        2 => Err(Failure::invalid("a physdev condition without a condition".to_owned())),
        _ => Ok(words),
    }
}

fn sides(lookup: &SetLookup) -> Result<String, Failure> {
    names::set(&lookup.name)?;
    let sides: Vec<&str> = lookup
        .sides
        .iter()
        .map(|side| match side {
            Side::Source => "src",
            Side::Destination => "dst",
        })
        .collect();
    match sides.len() {
        1..=6 => Ok(sides.join(",")),
        count => Err(Failure::invalid(format!("set {}: expected 1 to 6 sides, not {count}", lookup.name))),
    }
}

fn target(target: &Target, family: Family) -> Result<Vec<String>, Failure> {
    let mut words = vec!["-j".to_owned(), target_name(target).to_owned()];
    match target {
        Target::Jump(chain) => {
            names::chain(chain)?;
            if names::is_reserved(chain) {
                return Err(Failure::invalid(format!("chain {chain:?}: a rule cannot jump to it")));
            }
        }
        Target::Redirect(redirection) => {
            words.extend(["--to-destination".to_owned(), destination(redirection, family)?])
        }
        Target::Accept | Target::Drop | Target::Back | Target::Masquerade => {}
    }
    Ok(words)
}

fn destination(redirection: &Redirection, family: Family) -> Result<String, Failure> {
    let Redirection { address, ports: Ports { first, last }, base } = redirection;
    let address = match (names::address(address)?, family) {
        (IpAddr::V4(v4), Family::Ipv4) => v4.to_string(),
        (IpAddr::V6(v6), Family::Ipv6) => format!("[{v6}]"),
        (other, _) => return Err(Failure::invalid(format!("address {other}: is of the other family than its rule"))),
    };
    let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
    Ok(match base {
        Some(base) => format!("{address}:{ports}/{base}"),
        None => format!("{address}:{ports}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn line(family: Family, conditions: Vec<Condition>, target: Target) -> String {
        words(&Rule { conditions, target }, family).unwrap().join(" ")
    }

    fn lookup(name: &str, sides: &[Side], inverted: bool) -> Condition {
        Condition::Lookup(SetLookup { name: name.into(), sides: sides.to_vec(), inverted })
    }

    #[test]
    fn rules_are_written_as_they_are_listed() {
        let physdev = |input: Option<&str>, output: Option<&str>, bridged| {
            Condition::Physdev(Physdev { input: input.map(Into::into), output: output.map(Into::into), bridged })
        };
        let port = |port| Ports { first: port, last: port };
        let cases = [
            (
                Family::Ipv4,
                vec![physdev(Some("one-1-0"), None, true)],
                Target::Jump("one-1-0-o".into()),
                "-m physdev --physdev-in one-1-0 --physdev-is-bridged -j one-1-0-o",
            ),
            (
                Family::Ipv4,
                vec![
                    Condition::Protocol("udp".into()),
                    Condition::FromNetwork("0.0.0.0".into()),
                    Condition::ToNetwork("255.255.255.255".into()),
                    Condition::FromPorts(port(68)),
                    Condition::ToPorts(port(67)),
                ],
                Target::Back,
                "-s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 -j RETURN",
            ),
            (
                Family::Ipv6,
                vec![Condition::Icmpv6Type(134)],
                Target::Back,
                "-p ipv6-icmp -m icmp6 --icmpv6-type 134 -j RETURN",
            ),
            (Family::Ipv4, vec![Condition::Protocol("all".into())], Target::Back, "-j RETURN"),
            (
                Family::Ipv4,
                vec![
                    Condition::Protocol("tcp".into()),
                    Condition::ToAnyPort(vec![port(22), Ports { first: 80, last: 90 }]),
                ],
                Target::Back,
                "-p tcp -m multiport --dports 22,80:90 -j RETURN",
            ),
            (
                Family::Ipv4,
                vec![lookup("one-1-0-ip-spoofing", &[Side::Source], true)],
                Target::Drop,
                "-m set ! --match-set one-1-0-ip-spoofing src -j DROP",
            ),
            (
                Family::Ipv4,
                vec![lookup("s", &[Side::Destination, Side::Destination], false)],
                Target::Back,
                "-m set --match-set s dst,dst -j RETURN",
            ),
            (
                Family::Ipv4,
                vec![Condition::Established],
                Target::Back,
                "-m state --state RELATED,ESTABLISHED -j RETURN",
            ),
            (
                Family::Ipv4,
                vec![Condition::Protocol("tcp".into()), Condition::ToPorts(Ports { first: 9000, last: 9099 })],
                Target::Redirect(Redirection {
                    address: "10.70.0.20".into(),
                    ports: Ports { first: 1, last: 100 },
                    base: Some(9000),
                }),
                "-p tcp -m tcp --dport 9000:9099 -j DNAT --to-destination 10.70.0.20:1-100/9000",
            ),
        ];
        for (family, conditions, target, expected) in cases {
            let line = line(family, conditions, target.clone());
            assert_eq!(line, expected);
            assert_eq!(target_of(&line), Some(target_name(&target)));
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let refused = [
            (Family::Ipv4, vec![Condition::FromNetwork("fe80::1".into())], Target::Drop),
            (Family::Ipv4, vec![Condition::FromNetwork("10.0.0.1 -j ACCEPT".into())], Target::Drop),
            (Family::Ipv4, vec![Condition::Icmpv6Type(1)], Target::Drop),
            (Family::Ipv6, vec![Condition::IcmpType(1)], Target::Drop),
            (Family::Ipv4, vec![Condition::ToPorts(Ports { first: 1, last: 1 })], Target::Drop),
            (Family::Ipv4, vec![Condition::ToAnyPort(vec![])], Target::Drop),
            (Family::Ipv4, vec![Condition::ToAnyPort(vec![Ports { first: 2, last: 1 }])], Target::Drop),
            (Family::Ipv4, vec![Condition::Protocol("tcp\nCOMMIT".into())], Target::Drop),
            (Family::Ipv4, vec![Condition::Protocol("tcp".into()), Condition::IcmpType(1)], Target::Drop),
            (Family::Ipv4, vec![Condition::NotFromMac("02:00".into())], Target::Drop),
            (Family::Ipv4, vec![lookup("a b", &[Side::Source], false)], Target::Drop),
            (Family::Ipv4, vec![lookup("a", &[], false)], Target::Drop),
            (Family::Ipv4, vec![], Target::Jump("ACCEPT".into())),
            (Family::Ipv4, vec![], Target::Jump("x -m comment".into())),
        ];
        for (family, conditions, target) in refused {
            let rule = Rule { conditions, target };
            assert!(words(&rule, family).is_err(), "{rule:?}");
        }
    }
}

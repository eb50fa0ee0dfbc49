//! What flows of Open vSwitch do with the packets that come in by an interface's port.
//!
//! The drivers' flows begin in table 0 with a note of who they are for, look at Ethernet addresses in table 10, and
//! at IP addresses in table 20.

use remotes_effect::openvswitch::ListedFlow;
use serde::Serialize;

/// A machine's id and its interface's.
pub type Key = (u32, u32);

const MACS: (u8, &str) = (10, "resubmit(,10)");
const ADDRESSES: (u8, &str) = (20, "resubmit(,20)");
const DROP: &str = "drop";

/// What filters the packets of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Flows {
    /// could not be seen
    Unseen,
    /// no flows: everything passes
    None,
    /// The drivers' flows, with what they look at.
    InForce { mac: bool, arp: bool, ip: bool },
    /// flows of somebody else's, which nothing is known of
    Foreign { flows: usize },
    /// There are flows, but they do not do what they are for.
    Broken(Broken),
    /// The interface has gone, and its flows are there still.
    Left { bridge: String },
}

/// What is wrong with flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Broken {
    /// The switch could not open the link.
    NoNumber,
    /// They are for a number that the port had before, and has no more.
    Moved { from: u32 },
    /// Those of another machine, which had the port's number before.
    Others { vm: u32, nic: u32 },
    /// Something else says what becomes of packets before them.
    Bypassed,
}

/// Who a flow has a note of.
pub fn noted(flow: &ListedFlow) -> Option<Key> {
    let note = flow.actions.split(',').find_map(|action| action.strip_prefix("note:"))?;
    let bytes: Vec<u8> = note.split('.').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    match bytes[..] {
        [a, b, c, d, e, f] => Some((u32::from_be_bytes([a, b, c, d]), u32::from(u16::from_be_bytes([e, f])))),
        _ => None,
    }
}

impl Flows {
    /// What the flows of a bridge, where they could be seen, do for the interface at the port of this number.
    pub fn of(listed: Option<&[ListedFlow]>, number: Option<u32>, key: Key) -> Self {
        let Some(listed) = listed else { return Self::Unseen };
        let Some(number) = number else { return Self::Broken(Broken::NoNumber) };
        let own: Vec<&ListedFlow> = listed.iter().filter(|flow| flow.input == Some(number)).collect();
        let notes: Vec<Key> = own.iter().filter_map(|flow| noted(flow)).collect();
        if let Some((vm, nic)) = notes.iter().copied().find(|note| *note != key) {
            return Self::Broken(Broken::Others { vm, nic });
        }
        if notes.is_empty() {
            let moved = listed.iter().filter(|flow| noted(flow) == Some(key)).find_map(|flow| flow.input);
            return match (moved, own.len()) {
                (Some(from), _) => Self::Broken(Broken::Moved { from }),
                (None, 0) => Self::None,
                (None, flows) => Self::Foreign { flows },
            };
        }
        let met = |table: u8, protocol: Option<&str>| met(listed, number, table, protocol);
        let is_dropped = |table: u8, protocol: Option<&str>| met(table, protocol) == Some(DROP);
        let leads = |table: u8, to: &str| met(table, None).is_some_and(|actions| has(actions, to));
        let mac = is_dropped(MACS.0, None);
        if !leads(0, MACS.1) || !(mac || leads(MACS.0, ADDRESSES.1)) {
            return Self::Broken(Broken::Bypassed);
        }
        let [arp, ipv4, ipv6] = ["arp", "ip", "ipv6"].map(|protocol| is_dropped(ADDRESSES.0, Some(protocol)));
        Self::InForce { mac, arp, ip: ipv4 && ipv6 }
    }

    /// In words.
    pub fn shown(&self) -> String {
        const AGAIN: &str = "`post` makes them again";
        match self {
            Self::Unseen => "not seen".to_owned(),
            Self::None => "none, everything passes".to_owned(),
            Self::InForce { mac, arp, ip } => {
                let kinds = [("MAC", *mac), ("ARP", *arp), ("IP", *ip)].into_iter().filter(|kind| kind.1);
                match kinds.map(|kind| kind.0).collect::<Vec<_>>()[..] {
                    [] => "no address is looked at, everything passes".to_owned(),
                    ref kinds => format!("only the machine's own addresses pass ({})", kinds.join(", ")),
                }
            }
            Self::Foreign { flows } => format!("{flows} that are not of the drivers"),
            Self::Broken(Broken::NoNumber) => {
                "BROKEN: the port has no number, Open vSwitch could not open its link; see the log of ovs-vswitchd"
                    .to_owned()
            }
            Self::Broken(Broken::Moved { from }) => {
                format!("BROKEN: they are for port number {from}, which this port has no more; {AGAIN}")
            }
            Self::Broken(Broken::Others { vm, nic }) => {
                format!("BROKEN: they are those of NIC {nic} of VM {vm}; {AGAIN}")
            }
            Self::Broken(Broken::Bypassed) => format!("BROKEN: another flow comes before them; {AGAIN}"),
            Self::Left { bridge } => format!("left on bridge {bridge}; `clean` removes them"),
        }
    }
}

fn has(actions: &str, wanted: &str) -> bool {
    // Arguments have commas as well.
    actions == wanted || actions.ends_with(&format!(",{wanted}"))
}

/// The actions that packets of a port meet in a table: those that nothing more is known of than their protocol.
fn met<'a>(listed: &'a [ListedFlow], number: u32, table: u8, protocol: Option<&str>) -> Option<&'a str> {
    let is_met = |flow: &&ListedFlow| {
        let conditions: Vec<&str> = flow.conditions.iter().map(String::as_str).collect();
        flow.table == table
            && flow.input.is_none_or(|input| input == number)
            && match conditions[..] {
                [] => true,
                [one] => Some(one) == protocol,
                _ => false,
            }
    };
    listed.iter().filter(is_met).max_by_key(|flow| flow.priority).map(|flow| flow.actions.as_str())
}

#[cfg(test)]
#[path = "flows_tests.rs"]
mod tests;

//! The network of a namespace as text, in the form of the recorded cases.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::sh;

/// Rules, sets and links.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub iptables: String,
    pub ip6tables: String,
    pub ipset: String,
    /// by name
    pub links: BTreeMap<String, Value>,
}

impl State {
    /// The state of the thread's namespace.
    pub fn now() -> Self {
        let listed: Vec<Value> = serde_json::from_str(&sh("ip -json -details link show")).unwrap();
        let links = listed.iter().map(link).filter(|link| link["ifname"] != "lo");
        Self {
            iptables: rules(&sh("iptables-save")),
            ip6tables: rules(&sh("ip6tables-save")),
            ipset: sets(&sh("ipset save")),
            links: by_name(links),
        }
    }

    /// A recorded state; none where the case has none.
    pub fn recorded(folder: &Path) -> Option<Self> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let links: Vec<Value> =
            serde_json::from_str(&std::fs::read_to_string(folder.join("links.json")).ok()?).unwrap();
        Some(Self {
            iptables: rules(&read("iptables-save.txt")),
            ip6tables: rules(&read("ip6tables-save.txt")),
            ipset: sets(&read("ipset-save.txt")),
            links: by_name(links.into_iter()),
        })
    }
}

/// Without the mark of links that have no carrier: the kernel sets it within a second of a link's being set
/// up, so that one listing has it and the next one has not.
pub fn without_carrier(routes: &str) -> String {
    routes.replace(" linkdown", "")
}

fn by_name(links: impl Iterator<Item = Value>) -> BTreeMap<String, Value> {
    links.map(|link| (link["ifname"].as_str().unwrap().to_owned(), link)).collect()
}

/// Without comments and counters.
fn rules(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| match line.strip_prefix(':').and_then(|rest| rest.rsplit_once(" [")) {
            Some((chain, _)) => format!(":{chain} [0:0]\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

/// Sets in their order with sorted members, without what the kernel chooses itself.
fn sets(text: &str) -> String {
    let mut sets: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("create") {
            let words: Vec<&str> = line.split(' ').collect();
            let mut kept = Vec::new();
            let mut words = words.into_iter();
            while let Some(word) = words.next() {
                match word {
                    "hashsize" | "bucketsize" | "initval" => drop(words.next()),
                    word => kept.push(word),
                }
            }
            sets.push((kept.join(" "), Vec::new()));
        } else if let Some((_, members)) = sets.last_mut() {
            members.push(line.to_owned());
        }
    }
    let mut text = String::new();
    for (set, mut members) in sets {
        members.sort();
        text += &format!("{set}\n");
        members.iter().for_each(|member| text += &format!("{member}\n"));
    }
    text
}

const BRIDGE: [&str; 7] =
    ["stp_state", "forward_delay", "hello_time", "max_age", "ageing_time", "priority", "vlan_filtering"];
const VXLAN: [&str; 17] = [
    "ageing",
    "df",
    "group",
    "id",
    "learning",
    "link",
    "local",
    "port",
    "remote",
    "tos",
    "ttl",
    "udp_csum",
    "udp_zero_csum6_rx",
    "udp_zero_csum6_tx",
    "proxy",
    "rsc",
    "external",
];

fn link(listed: &Value) -> Value {
    let info = &listed["linkinfo"];
    let kind = info["info_kind"].as_str().unwrap_or_default();
    let up = listed["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
    let mut link = Map::new();
    link.insert("ifname".into(), listed["ifname"].clone());
    link.insert("kind".into(), kind.into());
    link.insert("master".into(), listed["master"].clone());
    link.insert("mtu".into(), listed["mtu"].clone());
    link.insert("state".into(), if up { "up" } else { "down" }.into());
    if !listed["link"].is_null() {
        link.insert("link".into(), listed["link"].clone());
    }
    let picked = |keys: &[&str]| -> Value {
        let data = &info["info_data"];
        let chosen = keys
            .iter()
            .filter(|key| !data[**key].is_null() && data[**key] != Value::Bool(false) || is_shown(key, data));
        chosen.map(|key| ((*key).to_owned(), data[*key].clone())).collect::<Map<_, _>>().into()
    };
    match kind {
        "bridge" => drop(link.insert("bridge".into(), picked(&BRIDGE))),
        "vxlan" => drop(link.insert("vxlan".into(), picked(&VXLAN))),
        _ => {}
    }
    link.into()
}

/// The recordings show these also where they are off.
fn is_shown(key: &str, data: &Value) -> bool {
    ["learning", "udp_csum", "udp_zero_csum6_rx", "udp_zero_csum6_tx"].contains(&key) && !data[key].is_null()
}

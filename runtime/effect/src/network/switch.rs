//! Bridges and ports of Open vSwitch: which names and columns there can be, and how `ovs-vsctl` is told.

use super::names;
use crate::openvswitch::{Column, Ethertype, Setting, VlanMode};
use crate::types::Failure;

/// VLANs that a tag can name.
const LAST_VLAN: u16 = 4095;
/// Longest value of a bridge's setting, in bytes.
const LONGEST: usize = 256;
/// Columns of a bridge that are maps: each key is set apart.
const MAPS: [&str; 2] = ["external_ids", "other_config"];

/// What a column of a bridge holds.
#[derive(Clone, Copy)]
enum Kind {
    Truth,
    Text,
    Texts,
    Numbers,
}

/// Columns of a bridge that may be set. Those that refer to other records (`ports`, `mirrors`,
/// `controller` …) are not among them.
const COLUMNS: [(&str, Kind); 7] = [
    ("datapath_type", Kind::Text),
    ("fail_mode", Kind::Text),
    ("flood_vlans", Kind::Numbers),
    ("mcast_snooping_enable", Kind::Truth),
    ("protocols", Kind::Texts),
    ("rstp_enable", Kind::Truth),
    ("stp_enable", Kind::Truth),
];

/// The name of a bridge or a port: one that no tool of Open vSwitch takes for a socket, a record's
/// identifier or an option.
pub fn name(text: &str) -> Result<(), Failure> {
    names::link(text)?;
    match text.contains([':', '@']) {
        true => Err(Failure::invalid(format!("{text:?}: a bridge or port of Open vSwitch has no : or @ in its name"))),
        false => Ok(()),
    }
}

fn quoted(column: &str, value: &str) -> Result<String, Failure> {
    // Whoever wrote the shell's quotes meant what is in between.
    let value = value.trim().trim_matches('"');
    let fit = value.len() <= LONGEST && value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
    match fit && !value.contains('"') {
        true => Ok(format!("\"{value}\"")),
        false => Err(Failure::invalid(format!(
            "{column} of a bridge: {value:?}: expected up to {LONGEST} printable characters without quotes or backslash"
        ))),
    }
}

fn list(values: impl Iterator<Item = Result<String, Failure>>) -> Result<String, Failure> {
    Ok(format!("[{}]", values.collect::<Result<Vec<_>, _>>()?.join(",")))
}

fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.trim_matches(['[', ']']).split([',', ' ']).filter(|part| !part.is_empty())
}

/// A bridge's settings as words behind `set Bridge NAME`.
pub fn settings(settings: &[Setting]) -> Result<Vec<String>, Failure> {
    settings.iter().map(|setting| self::setting(&setting.name, &setting.value)).collect()
}

fn setting(name: &str, value: &str) -> Result<String, Failure> {
    let (column, key) = name.split_once(':').map_or((name, None), |(column, key)| (column, Some(key)));
    let column = column.replace('-', "_");
    if let Some(key) = key.filter(|_| MAPS.contains(&column.as_str())) {
        let fit =
            !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        return match fit {
            true => Ok(format!("{column}:{key}={}", quoted(name, value)?)),
            false => Err(Failure::invalid(format!("{name:?}: {key:?} is no key of {column}"))),
        };
    }
    let known = COLUMNS.iter().find(|(known, _)| *known == column && key.is_none());
    let Some((_, kind)) = known else {
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        return Err(Failure::invalid(format!(
            "{name:?}: no column of a bridge that may be set; known are {}, and keys of {}",
            names.join(", "),
            MAPS.join(" and ")
        )));
    };
    let value = match kind {
        Kind::Text => quoted(name, value)?,
        Kind::Texts => list(parts(value).map(|part| quoted(name, part)))?,
        Kind::Numbers => list(parts(value).map(|part| {
            let number = part.parse().map_err(|_| Failure::invalid(format!("{name}: {part:?} is no VLAN")))?;
            vlan(number)
        }))?,
        Kind::Truth => match value.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => "true".to_owned(),
            "false" | "no" | "off" => "false".to_owned(),
            other => return Err(Failure::invalid(format!("{name}: {other:?}: expected true or false"))),
        },
    };
    Ok(format!("{column}={value}"))
}

fn vlan(id: u16) -> Result<String, Failure> {
    match id <= LAST_VLAN {
        true => Ok(id.to_string()),
        false => Err(Failure::invalid(format!("VLAN {id}: expected at most {LAST_VLAN}"))),
    }
}

fn vlans(ids: &[u16]) -> Result<String, Failure> {
    list(ids.iter().map(|id| vlan(*id)))
}

/// A mode as the database calls it.
pub fn mode(mode: VlanMode) -> &'static str {
    match mode {
        VlanMode::Access => "access",
        VlanMode::Trunk => "trunk",
        VlanMode::NativeTagged => "native-tagged",
        VlanMode::NativeUntagged => "native-untagged",
        VlanMode::Dot1qTunnel => "dot1q-tunnel",
    }
}

/// The mode that the database calls so.
pub fn parse_mode(text: &str) -> Option<VlanMode> {
    use VlanMode as M;
    [M::Access, M::Trunk, M::NativeTagged, M::NativeUntagged, M::Dot1qTunnel].into_iter().find(|it| mode(*it) == text)
}

/// The commands of `ovs-vsctl` that set columns of a port.
pub fn commands(port: &str, columns: &[Column]) -> Result<Vec<Vec<String>>, Failure> {
    name(port)?;
    let none = || "[]".to_owned();
    let (mut of_port, mut of_interface, mut commands) = (Vec::new(), Vec::new(), Vec::new());
    for column in columns {
        match column {
            Column::Tag(tag) => of_port.push(format!("tag={}", tag.map_or_else(|| Ok(none()), vlan)?)),
            Column::Trunks(trunks) => of_port.push(format!("trunks={}", vlans(trunks)?)),
            Column::VlanMode(set) => {
                of_port.push(format!("vlan_mode={}", set.map_or_else(none, |set| mode(set).to_owned())));
            }
            Column::Cvlans(inner) => of_port.push(format!("cvlans={}", vlans(inner)?)),
            Column::QinqEthertype(Some(Ethertype::Dot1q)) => {
                of_port.push("other_config:qinq-ethtype=\"802.1q\"".to_owned());
            }
            Column::QinqEthertype(Some(Ethertype::Dot1ad)) => {
                of_port.push("other_config:qinq-ethtype=\"802.1ad\"".to_owned());
            }
            Column::QinqEthertype(None) => {
                commands.push(["remove", "Port", port, "other_config", "qinq-ethtype"].map(str::to_owned).to_vec());
            }
            Column::Mtu(Some(mtu)) if !(68..=65535).contains(mtu) => {
                return Err(Failure::invalid(format!("port {port}: MTU {mtu}: expected 68 to 65535")));
            }
            Column::Mtu(mtu) => {
                of_interface.push(format!("mtu_request={}", mtu.map_or_else(none, |mtu| mtu.to_string())));
            }
        }
    }
    for (table, words) in [("Port", of_port), ("Interface", of_interface)] {
        if !words.is_empty() {
            let command = ["set", table, port].map(str::to_owned).into_iter().chain(words);
            commands.push(command.collect());
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn one(name: &str, value: &str) -> Result<String, Failure> {
        setting(name, value)
    }

    #[test]
    fn settings_of_bridges_are_words_that_mean_one_thing() {
        for (name, value, word) in [
            ("datapath_type", "netdev", "datapath_type=\"netdev\""),
            ("fail-mode", "secure", "fail_mode=\"secure\""),
            ("stp_enable", "true", "stp_enable=true"),
            ("protocols", "OpenFlow10,OpenFlow14", "protocols=[\"OpenFlow10\",\"OpenFlow14\"]"),
            ("flood_vlans", "[1, 2]", "flood_vlans=[1,2]"),
            ("other_config:hwaddr", "\"02:00:00:00:00:01\"", "other_config:hwaddr=\"02:00:00:00:00:01\""),
            ("other-config:mac-table-size", "9000", "other_config:mac-table-size=\"9000\""),
        ] {
            assert_eq!(one(name, value).unwrap(), word);
        }
        for (name, value) in [
            ("controller", "tcp:1.2.3.4"),
            ("mirrors", "x"),
            ("ports", "[]"),
            ("name", "x"),
            ("datapath_type", "a\" -- del-br br0"),
            ("datapath_type", "a\\"),
            ("datapath_type", "a\nb"),
            ("datapath_type:x", "a"),
            ("stp_enable", "perhaps"),
            ("flood_vlans", "5000"),
            ("other_config", "{}"),
            ("other_config:", "x"),
            ("other_config:a=b", "x"),
            ("other_config:a b", "x"),
            ("", ""),
        ] {
            assert!(one(name, value).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn columns_are_set_by_table() {
        let columns = [
            Column::Tag(Some(42)),
            Column::Trunks(vec![]),
            Column::VlanMode(Some(VlanMode::NativeUntagged)),
            Column::Mtu(Some(1450)),
        ];
        let words: Vec<String> = commands("one-1-0", &columns).unwrap().iter().map(|it| it.join(" ")).collect();
        assert_eq!(
            words,
            ["set Port one-1-0 tag=42 trunks=[] vlan_mode=native-untagged", "set Interface one-1-0 mtu_request=1450"]
        );
        let columns = [Column::Tag(None), Column::Cvlans(vec![5, 6]), Column::QinqEthertype(None), Column::Mtu(None)];
        let words: Vec<String> = commands("one-1-0", &columns).unwrap().iter().map(|it| it.join(" ")).collect();
        assert_eq!(
            words,
            [
                "remove Port one-1-0 other_config qinq-ethtype",
                "set Port one-1-0 tag=[] cvlans=[5,6]",
                "set Interface one-1-0 mtu_request=[]"
            ]
        );
        for column in [Column::Tag(Some(4096)), Column::Trunks(vec![1, 9999]), Column::Mtu(Some(1))] {
            assert!(commands("one-1-0", std::slice::from_ref(&column)).is_err(), "{column:?}");
        }
    }

    #[test]
    fn sockets_and_records_are_no_names() {
        for text in ["tcp:10.0.0.1", "unix:x", "netdev@br0", "@id", "-x", "a/b", ".."] {
            assert!(name(text).is_err(), "{text}");
        }
        name("one-1-0").unwrap();
        name("eth1.900").unwrap();
    }
}

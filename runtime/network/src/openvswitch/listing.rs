//! What `ovs-vsctl --format=json list` prints: one document a table.

use std::collections::BTreeMap;

use remotes_effect::network::switch;
use remotes_effect::openvswitch::{Bridge, Port};
use remotes_effect::types::Failure;
use serde::Deserialize;
use serde_json::Value;

/// The columns that are asked for, by table, in the order in which [`parse`] wants the documents.
pub const TABLES: [(&str, &str); 3] = [
    ("Bridge", "name,ports"),
    ("Port", "_uuid,name,tag,trunks,vlan_mode,cvlans"),
    ("Interface", "name,ofport,mtu_request"),
];

#[derive(Deserialize)]
struct Table {
    headings: Vec<String>,
    data: Vec<Vec<Value>>,
}

/// A row by the names of its columns.
type Row = BTreeMap<String, Value>;

fn rows(document: Option<&str>) -> Result<Vec<Row>, Failure> {
    let read = |error: &dyn std::fmt::Display| Failure::failed(format!("what ovs-vsctl lists cannot be read: {error}"));
    let document = document.ok_or_else(|| read(&"a table is missing"))?;
    let table: Table = serde_json::from_str(document).map_err(|error| read(&error))?;
    Ok(table.data.into_iter().map(|row| table.headings.iter().cloned().zip(row).collect()).collect())
}

/// The values of a set; a set of one is listed as that one.
fn set(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(pair)) => match &pair[..] {
            [Value::String(kind), Value::Array(values)] if kind == "set" => values.iter().collect(),
            _ => value.into_iter().collect(),
        },
        Some(one) => vec![one],
    }
}

fn text(row: &Row, column: &str) -> Option<String> {
    set(row.get(column)).first().and_then(|value| value.as_str()).map(str::to_owned)
}

fn numbers<N: TryFrom<u64>>(row: &Row, column: &str) -> Vec<N> {
    let values = set(row.get(column)).into_iter().filter_map(Value::as_u64);
    values.filter_map(|value| N::try_from(value).ok()).collect()
}

/// `["uuid", "5b41908c-…"]`
fn identifier(value: &Value) -> Option<&str> {
    match value.as_array()?.as_slice() {
        [kind, id] if kind == "uuid" => id.as_str(),
        _ => None,
    }
}

/// Reads the three documents.
pub fn parse(listing: &str) -> Result<Vec<Bridge>, Failure> {
    let mut documents = listing.lines().filter(|line| !line.trim().is_empty());
    let bridges = rows(documents.next())?;
    let ports = rows(documents.next())?;
    let interfaces = rows(documents.next())?;
    let interfaces: BTreeMap<String, &Row> =
        interfaces.iter().filter_map(|row| Some((text(row, "name")?, row))).collect();
    let ports: BTreeMap<&str, Port> =
        ports.iter().filter_map(|row| Some((identifier(row.get("_uuid")?)?, port(row, &interfaces)?))).collect();
    let bridge = |row: &Row| {
        let name = text(row, "name")?;
        let ids = set(row.get("ports")).into_iter().filter_map(identifier);
        let mut own: Vec<Port> = ids.filter_map(|id| ports.get(id)).filter(|port| port.name != name).cloned().collect();
        own.sort_by(|a, b| a.name.cmp(&b.name));
        Some(Bridge { name, ports: own })
    };
    let mut bridges: Vec<Bridge> = bridges.iter().filter_map(bridge).collect();
    bridges.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(bridges)
}

fn port(row: &Row, interfaces: &BTreeMap<String, &Row>) -> Option<Port> {
    let name = text(row, "name")?;
    // A bond has interfaces of other names, and no number of its own.
    let interface = interfaces.get(&name);
    let of_interface = |column: &str| interface.and_then(|row| numbers::<u32>(row, column).first().copied());
    Some(Port {
        number: of_interface("ofport"),
        tag: numbers(row, "tag").first().copied(),
        trunks: numbers(row, "trunks"),
        vlan_mode: text(row, "vlan_mode").and_then(|mode| switch::parse_mode(&mode)),
        cvlans: numbers(row, "cvlans"),
        mtu: of_interface("mtu_request"),
        name,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;
    use remotes_effect::openvswitch::VlanMode;

    use super::*;

    const LISTING: &str = r#"{"data":[["ovsbr0",["set",[["uuid","a"],["uuid","b"],["uuid","c"]]]],["empty",["uuid","d"]]],"headings":["name","ports"]}
{"data":[[["uuid","a"],"one-1-0",42,["set",[10,20]],"native-untagged",["set",[]]],[["uuid","b"],"ovsbr0",["set",[]],["set",[]],["set",[]],["set",[]]],[["uuid","c"],"gone",["set",[]],7,["set",[]],["set",[]]],[["uuid","d"],"empty",["set",[]],["set",[]],["set",[]],["set",[]]]],"headings":["_uuid","name","tag","trunks","vlan_mode","cvlans"]}
{"data":[["one-1-0",2,1450],["gone",-1,["set",[]]],["ovsbr0",65534,["set",[]]],["empty",65534,["set",[]]]],"headings":["name","ofport","mtu_request"]}
"#;

    #[test]
    fn the_three_tables_become_bridges() {
        let bridges = parse(LISTING).unwrap();
        assert_eq!(bridges.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["empty", "ovsbr0"]);
        let [gone, tap] = &bridges[1].ports[..] else { panic!("{bridges:?}") };
        assert_eq!((gone.name.as_str(), gone.number, gone.trunks.as_slice()), ("gone", None, &[7][..]));
        assert_eq!((tap.name.as_str(), tap.number, tap.tag, tap.mtu), ("one-1-0", Some(2), Some(42), Some(1450)));
        assert_eq!((tap.trunks.as_slice(), tap.vlan_mode), (&[10, 20][..], Some(VlanMode::NativeUntagged)));
        assert!(bridges[0].ports.is_empty());
    }

    #[test]
    fn what_is_no_listing_is_a_failure() {
        for text in ["", "{}", "{}\n{}\n{}", "null\nnull\nnull", "[1]"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_listing_makes_it_panic(cells in proptest::collection::vec("[\\[\\]{}\",a-z0-9:-]{0,12}", 0..12)) {
            let table = format!("{{\"headings\":[\"name\",\"ports\"],\"data\":[[{}]]}}", cells.join(","));
            let _ = parse(&format!("{table}\n{table}\n{table}\n"));
        }
    }
}

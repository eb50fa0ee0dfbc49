//! The list `tproxy` of OpenNebulaNetwork.conf, as the configuration's flat keys have it:
//! `tproxy.0.service_port`, `tproxy.0.networks.1`.

use std::collections::BTreeMap;

use remotes_sdk::network::Nic;

/// What is behind one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub service_port: u16,
    /// an address or a name
    pub remote_addr: String,
    pub remote_port: u16,
    /// names and numbers of networks; none: of all
    networks: Vec<String>,
}

impl Entry {
    /// Whether an interface's network has it.
    pub fn concerns(&self, nic: &Nic) -> bool {
        let id = nic.network_id.map(|id| id.to_string());
        let is = |network: &String| Some(network) == nic.network.as_ref() || Some(network) == id.as_ref();
        self.networks.is_empty() || self.networks.iter().any(is)
    }
}

/// Entries in their order, and what is wrong with those that are left out.
pub(super) fn parse(values: &[(String, String)]) -> (Vec<Entry>, Vec<String>) {
    let (mut listed, mut problems) = (BTreeMap::<usize, Vec<(&str, &str)>>::new(), Vec::new());
    for (key, value) in values {
        let place = key.strip_prefix("tproxy.").map(|rest| rest.split_once('.').unwrap_or((rest, "")));
        match place.map(|(index, name)| (index.parse(), name)) {
            Some((Ok(index), name)) => listed.entry(index).or_default().push((name, value)),
            // Nothing stands for an empty list.
            None if value.is_empty() => {}
            _ => problems.push(format!("{key} is left out: expected a list, each entry beginning with a dash")),
        }
    }
    let mut entries = Vec::new();
    for (index, keys) in listed {
        match entry(&keys) {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(format!("entry {} is left out: {problem}", index + 1)),
        }
    }
    problems.dedup();
    (entries, problems)
}

fn entry(keys: &[(&str, &str)]) -> Result<Entry, String> {
    if let [("", value)] = keys {
        return Err(format!("it is {value:?}, expected service_port, remote_addr and remote_port"));
    }
    let value = |name: &str| {
        let found = keys.iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim());
        found
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("it has no {name}, or one that is no single value"))
    };
    let port = |name: &str| {
        let text = value(name)?;
        let port = text.parse().ok().filter(|port| *port != 0);
        port.ok_or_else(|| format!("{name} is {text:?}, expected a port from 1 to 65535"))
    };
    let mut networks = Vec::new();
    for (key, value) in keys {
        let Some(rest) = key.strip_prefix("networks") else { continue };
        match rest.strip_prefix('.') {
            Some(index) if index.parse::<usize>().is_ok() && !value.is_empty() => networks.push((*value).to_owned()),
            // Written as one word instead of a list of one.
            None if rest.is_empty() && !value.is_empty() => networks.push((*value).to_owned()),
            None if rest.is_empty() => {}
            // Taken for nothing it would stand for all networks.
            _ => return Err(format!("{key} is {value:?}, expected a list of names or numbers of networks")),
        }
    }
    Ok(Entry {
        service_port: port("service_port")?,
        remote_addr: value("remote_addr")?.to_owned(),
        remote_port: port("remote_port")?,
        networks,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> (Vec<Entry>, Vec<String>) {
        let values: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        super::parse(&values)
    }

    /// An entry whose keys are these.
    fn one(pairs: &[(&str, &str)]) -> (Vec<Entry>, Vec<String>) {
        let values: Vec<_> =
            pairs.iter().map(|(key, value)| (format!("tproxy.0.{key}"), (*value).to_owned())).collect();
        super::parse(&values)
    }

    const GOOD: [(&str, &str); 3] = [("service_port", "5030"), ("remote_addr", "10.0.0.7"), ("remote_port", "8080")];

    #[test]
    fn entries_are_read_in_their_order() {
        let keys = |index: usize| GOOD.map(|(key, value)| (format!("tproxy.{index}.{key}"), value.to_owned()));
        let values: Vec<_> = [10, 9, 2].into_iter().flat_map(keys).collect();
        let (entries, problems) = super::parse(&values);
        assert_eq!((entries.len(), problems.len()), (3, 0));
        assert_eq!((entries[0].service_port, entries[0].remote_port), (5030, 8080));
        assert_eq!(parse(&[]), (vec![], vec![]));
        assert_eq!(parse(&[("tproxy", "")]), (vec![], vec![]));
    }

    #[test]
    fn what_cannot_be_meant_is_left_out_and_said() {
        let with = |key: &str, value: &'static str| {
            let replaced = |(other, old): (&'static str, &'static str)| (other, if other == key { value } else { old });
            one(&GOOD.map(replaced))
        };
        for (key, value, problem) in [
            ("service_port", "0", "expected a port from 1 to 65535"),
            ("service_port", "70000", "expected a port from 1 to 65535"),
            ("remote_port", "-1", "expected a port from 1 to 65535"),
            ("remote_port", "0x50", "expected a port from 1 to 65535"),
            ("remote_port", "5030}; flush ruleset", "expected a port from 1 to 65535"),
            ("service_port", "", "has no service_port"),
            ("remote_addr", "  ", "has no remote_addr"),
        ] {
            let (entries, problems) = with(key, value);
            assert_eq!(entries, [], "{key} {value}");
            assert!(problems.len() == 1 && problems[0].contains(problem), "{problems:?}");
        }
        for (left, _) in GOOD {
            let others: Vec<_> = GOOD.into_iter().filter(|(key, _)| *key != left).collect();
            let (entries, problems) = one(&others);
            assert!(entries.is_empty() && problems[0].contains(left), "{problems:?}");
        }
        for shape in [
            &[("tproxy.0", "5030"), ("tproxy.1", "10.0.0.7")][..],
            &[("tproxy.service_port", "5030"), ("tproxy.remote_port", "5030")],
            &[("tproxy", "5030:10.0.0.7")],
            &[("tproxy.0.service_port.0", "1"), ("tproxy.0.remote_addr.x", "y"), ("tproxy.0.remote_port", "1")],
            &[("tproxy.0.0.service_port", "1")],
        ] {
            let (entries, problems) = parse(shape);
            assert!(entries.is_empty() && !problems.is_empty(), "{shape:?}: {problems:?}");
        }
        // Numbers that somebody put into quotes are numbers.
        assert_eq!(with("service_port", " 5031 ").0[0].service_port, 5031);
    }

    #[test]
    fn networks_are_names_or_numbers_and_none_are_all() {
        let with = |networks: &[(&'static str, &'static str)]| one(&[&GOOD[..], networks].concat());
        let nic = |name: &str, id| Nic { network: Some(name.into()), network_id: Some(id), ..Nic::default() };
        let (named, _) = with(&[("networks.0", "private"), ("networks.1", "7")]);
        assert!(named[0].concerns(&nic("private", 3)) && named[0].concerns(&nic("public", 7)));
        assert!(!named[0].concerns(&nic("public", 3)) && !named[0].concerns(&Nic::default()));
        for all in [&[][..], &[("networks", "")]] {
            assert!(with(all).0[0].concerns(&nic("public", 3)), "{all:?}");
        }
        assert!(!with(&[("networks", "private")]).0[0].concerns(&nic("public", 3)));
        for wrong in
            [&[("networks.a", "x")][..], &[("networks.0", "")], &[("networks.0.1", "x")], &[("networks_", "x")]]
        {
            assert_eq!(with(wrong).0, [], "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_keys_are_read_or_left_out(values in proptest::collection::vec(("tproxy(\\.[0-9]{1,2}|\\.\\PC{0,3}){0,3}(\\.(service_port|remote_addr|remote_port|networks))?", "\\PC{0,8}|[0-9]{0,6}"), 0..8)) {
            let (entries, _) = super::parse(&values);
            for entry in entries {
                prop_assert!(entry.service_port != 0 && entry.remote_port != 0 && !entry.remote_addr.is_empty());
            }
        }
    }
}

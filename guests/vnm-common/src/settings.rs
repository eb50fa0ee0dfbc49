//! OpenNebulaNetwork.conf, and what single networks change of it.

use std::cell::OnceCell;

use remotes_sdk::links::Setting;
use remotes_sdk::network::Nic;
use remotes_sdk::{Failure, FailureKind, configuration, warning};

/// Values where there is no file.
const BUILT_IN: [(&str, &str); 9] = [
    ("validate_vlan_id", "false"),
    ("arp_cache_poisoning", "true"),
    ("vlan_mtu", "1500"),
    ("vxlan_mc", "239.0.0.0"),
    ("vxlan_ttl", "16"),
    ("vxlan_mtu", "1500"),
    ("ipset_maxelem", "65536"),
    ("keep_empty_bridge", "false"),
    ("datastore_location", "/var/lib/one/datastores"),
];

/// Names of bridge options that `brctl` had.
const BRCTL: [(&str, &str); 6] = [
    ("sethello", "hello_time"),
    ("setageing", "ageing_time"),
    ("setmaxage", "max_age"),
    ("stp", "stp_state"),
    ("setbridgeprio", "priority"),
    ("setfd", "forward_delay"),
];

/// The settings of one action. Read when first asked for.
#[derive(Default)]
pub struct Settings {
    keys: OnceCell<Option<Vec<String>>>,
}

impl Settings {
    /// Keys that the file sets, in its order; none where there is no file that can be used.
    fn keys(&self) -> Result<Option<&[String]>, Failure> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys.as_deref());
        }
        let keys = match configuration::keys("") {
            Ok(keys) => Some(keys).filter(|keys| keys.iter().any(|key| is_ours(key))),
            Err(failure) if failure.kind == FailureKind::Invalid => {
                warning!("{}; the built-in settings are used", failure.message);
                None
            }
            Err(failure) => return Err(failure),
        };
        Ok(self.keys.get_or_init(|| keys).as_deref())
    }

    /// A value of the file, or else built-in.
    pub fn file(&self, key: &str) -> Result<Option<String>, Failure> {
        let value = match self.keys()? {
            Some(keys) if keys.iter().any(|other| other == key) => configuration::get(key)?,
            Some(_) => None,
            None => BUILT_IN.iter().find(|(other, _)| *other == key).map(|(_, value)| (*value).to_owned()),
        };
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// A value for one interface: its network's, or else the file's. Of two entries the last counts.
    pub fn of(&self, nic: &Nic, key: &str) -> Result<Option<String>, Failure> {
        match pairs(nic.conf.as_deref().unwrap_or_default()).filter(|(other, _)| other == key).last() {
            Some((_, value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            None => self.file(key),
        }
    }

    /// Whether a value for one interface is true: all is that does not say otherwise.
    pub fn is(&self, nic: &Nic, key: &str) -> Result<bool, Failure> {
        Ok(self.of(nic, key)?.is_some_and(|value| !is_false(&value)))
    }

    /// Whether a value is true in the file, or for one interface: what the file asks for, nobody who can write an
    /// interface's attributes takes back.
    pub fn is_asked_for(&self, nic: &Nic, key: &str) -> Result<bool, Failure> {
        Ok(self.file(key)?.is_some_and(|value| !is_false(&value)) || self.is(nic, key)?)
    }

    /// A number for one interface; none where it is unset.
    pub fn number(&self, nic: &Nic, key: &str) -> Result<Option<u32>, Failure> {
        let Some(value) = self.of(nic, key)? else { return Ok(None) };
        // YAML has numbers as in 100_000.
        value
            .trim()
            .replace('_', "")
            .parse()
            .map(Some)
            .map_err(|_| Failure::invalid(format!("{key} is {value:?}, expected a number")))
    }

    /// Options of new bridges: those in the names of `brctl`, overlaid by those of `ip`.
    pub fn bridge(&self) -> Result<Vec<Setting>, Failure> {
        let mut settings = Vec::new();
        for (name, value) in self.map("bridge_conf")? {
            if let Some((_, name)) = BRCTL.iter().find(|(old, _)| *old == name) {
                put(&mut settings, name, Some(switch(value, "1", "0")));
            }
        }
        for (name, value) in self.map("ip_bridge_conf")? {
            put(&mut settings, &name, Some(switch(value, "1", "0")));
        }
        Ok(settings)
    }

    /// Options of the device below an interface's bridge: the file's, changed by the network's.
    pub fn link(&self, nic: &Nic) -> Result<Vec<Setting>, Failure> {
        let mut settings = Vec::new();
        for (name, value) in self.map("ip_link_conf")? {
            put(&mut settings, &name, Some(switch(value, "on", "off")).filter(|value| !value.is_empty()));
        }
        for (name, value) in pairs(nic.ip_link_conf.as_deref().unwrap_or_default()) {
            let name = name.to_lowercase();
            match value.as_str() {
                "__delete__" => settings.retain(|setting| setting.name != name),
                _ => put(&mut settings, &name, Some(value).filter(|value| !value.is_empty())),
            }
        }
        Ok(settings)
    }

    /// Columns of an interface's new bridge of Open vSwitch: the file's, changed by the network's.
    pub fn switch(&self, nic: &Nic) -> Result<Vec<(String, String)>, Failure> {
        let mut settings = self.map("ovs_bridge_conf")?;
        for (name, value) in pairs(nic.ovs_bridge_conf.as_deref().unwrap_or_default()) {
            let name = name.to_lowercase();
            settings.retain(|(other, _)| *other != name);
            if value != "__delete__" {
                settings.push((name, value));
            }
        }
        Ok(settings)
    }

    /// Keys and values of the transparent proxies, as the file has them. Networks have no word in that.
    pub fn proxies(&self) -> Result<Vec<(String, String)>, Failure> {
        let keys = self.keys()?.unwrap_or_default().iter();
        let keys = keys.filter(|key| *key == "tproxy" || key.starts_with("tproxy."));
        keys.map(|key| Ok((key.clone(), configuration::get(key)?.unwrap_or_default()))).collect()
    }

    fn map(&self, key: &str) -> Result<Vec<(String, String)>, Failure> {
        let prefix = format!("{key}.");
        let keys = self.keys()?.unwrap_or_default();
        let names = keys.iter().filter_map(|key| Some((key, key.strip_prefix(&prefix)?)));
        names.map(|(key, name)| Ok((name.to_owned(), configuration::get(key)?.unwrap_or_default()))).collect()
    }
}

fn is_ours(key: &str) -> bool {
    const OTHERS: [&str; 12] = [
        "vxlan_mode",
        "vxlan_tep",
        "ip_bridge_conf",
        "bridge_conf",
        "ovs_bridge_conf",
        "ovs_vlan_access",
        "routed_outbound_filter",
        "ip_link_conf",
        "tproxy",
        "tproxy_debug_level",
        "tproxy_process_owner",
        "pci_passthrough_bind",
    ];
    let top = key.split('.').next().unwrap_or_default();
    BUILT_IN.iter().any(|(other, _)| *other == top) || OTHERS.contains(&top)
}

/// `key=value` pieces of a network's attribute. Pieces without `=` do not count.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(',')
        .filter_map(|piece| piece.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
}

fn put(settings: &mut Vec<Setting>, name: &str, value: Option<String>) {
    match settings.iter_mut().find(|setting| setting.name == name) {
        Some(setting) => setting.value = value,
        None => settings.push(Setting { name: name.to_owned(), value }),
    }
}

/// Whether a value is one of YAML's words for no.
pub(crate) fn is_false(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "false" | "no" | "off")
}

/// YAML's `true` and `false` in the words of a tool.
fn switch(value: String, yes: &str, no: &str) -> String {
    match value.as_str() {
        "true" => yes.to_owned(),
        "false" => no.to_owned(),
        _ => value,
    }
}

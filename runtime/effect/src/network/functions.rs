//! Virtual functions of network cards: addresses on the PCI bus, and how `ip` is told.

use super::names;
use crate::sriov::{Function, Settings};
use crate::types::Failure;

/// A PCI address as the kernel names devices by it: `0000:03:10.2`, or without the domain in front.
pub fn address(text: &str) -> Result<&str, Failure> {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_hexdigit());
    let slot = |text: &str| text.split_once('.').is_some_and(|(slot, function)| digits(slot, 2) && digits(function, 1));
    let parts: Vec<&str> = text.split(':').collect();
    let fit = match parts[..] {
        [bus, rest] => digits(bus, 2) && slot(rest),
        [domain, bus, rest] => {
            (4..=8).contains(&domain.len()) && digits(domain, domain.len()) && digits(bus, 2) && slot(rest)
        }
        _ => false,
    };
    match fit {
        true => Ok(text),
        false => Err(Failure::invalid(format!("PCI address {text:?}: expected one like 03:10.2 or 0000:03:10.2"))),
    }
}

/// The words behind `ip` that set a function up; none where nothing is to be set.
pub fn words(function: &Function, settings: &Settings) -> Result<Vec<String>, Failure> {
    names::link(&function.physical)?;
    let mut words = Vec::new();
    let mut put = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some(mac) = &settings.mac {
        names::mac(mac)?;
        put("mac", mac.clone());
    }
    match settings.vlan {
        Some(vlan) if vlan > 4094 => {
            return Err(Failure::invalid(format!("VLAN {vlan} of a virtual function: expected at most 4094")));
        }
        Some(vlan) => put("vlan", vlan.to_string()),
        None => {}
    }
    let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
    if let Some(check) = settings.spoof_check {
        put("spoofchk", switch(check));
    }
    if let Some(trust) = settings.trust {
        put("trust", switch(trust));
    }
    if words.is_empty() {
        return Ok(words);
    }
    let index = function.index.to_string();
    let link = ["link", "set", "dev", &function.physical, "vf", &index].map(str::to_owned);
    Ok(link.into_iter().chain(words).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn addresses_are_names_of_devices() {
        for text in ["03:10.2", "0000:03:10.2", "10000:e1:00.0"] {
            address(text).unwrap();
        }
        for text in ["", "03:10", "3:10.2", "03:10.2/../x", "../03:10.2", "0000:03:10:2", "03:10.2\n", "x3:10.2", "*"] {
            assert!(address(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn one_command_sets_a_function_up() {
        let function = Function { physical: "enp3s0".into(), index: 2, representor: None };
        let words = |settings: &Settings| words(&function, settings).map(|words| words.join(" "));
        let mac = Some("02:00:0a:00:00:01".to_owned());
        let all = Settings { mac: mac.clone(), vlan: Some(0), spoof_check: Some(true), trust: Some(false) };
        assert_eq!(words(&all).unwrap(), "link set dev enp3s0 vf 2 mac 02:00:0a:00:00:01 vlan 0 spoofchk on trust off");
        let none = Settings { mac: None, vlan: None, spoof_check: None, trust: None };
        assert_eq!(words(&none).unwrap(), "");
        let just_mac = Settings { mac, ..none.clone() };
        assert_eq!(words(&just_mac).unwrap(), "link set dev enp3s0 vf 2 mac 02:00:0a:00:00:01");
        assert!(words(&Settings { vlan: Some(4095), ..none.clone() }).is_err());
        assert!(words(&Settings { mac: Some("x".into()), ..none }).is_err());
    }
}

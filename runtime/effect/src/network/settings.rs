//! Options of links that operators may set, in iproute2's words. Those that say where a link belongs
//! (`dev`, `link`, `master`, `local`, `group`, `id` …) are not among them: they are arguments.

use crate::links::Setting;
use crate::types::Failure;

/// Options of `type bridge`.
pub const BRIDGE: &[&str] = &[
    "ageing_time",
    "fdb_flush",
    "fdb_max_learned",
    "forward_delay",
    "group_address",
    "group_fwd_mask",
    "hello_time",
    "max_age",
    "mcast_hash_elasticity",
    "mcast_hash_max",
    "mcast_igmp_version",
    "mcast_last_member_count",
    "mcast_last_member_interval",
    "mcast_membership_interval",
    "mcast_mld_version",
    "mcast_querier",
    "mcast_querier_interval",
    "mcast_query_interval",
    "mcast_query_response_interval",
    "mcast_query_use_ifaddr",
    "mcast_router",
    "mcast_snooping",
    "mcast_startup_query_count",
    "mcast_startup_query_interval",
    "mcast_stats_enabled",
    "mcast_vlan_snooping",
    "nf_call_arptables",
    "nf_call_ip6tables",
    "nf_call_iptables",
    "no_linklocal_learn",
    "priority",
    "stp_state",
    "vlan_default_pvid",
    "vlan_filtering",
    "vlan_protocol",
    "vlan_stats_enabled",
    "vlan_stats_per_port",
];

/// Options of `type vlan`.
pub const VLAN: &[&str] = &[
    "bridge_binding",
    "egress-qos-map",
    "gvrp",
    "ingress-qos-map",
    "loose_binding",
    "mvrp",
    "protocol",
    "reorder_hdr",
];

/// Options of `type vxlan`.
pub const VXLAN: &[&str] = &[
    "ageing",
    "df",
    "dsfield",
    "dstport",
    "flowlabel",
    "gbp",
    "gpe",
    "hoplimit",
    "l2miss",
    "l3miss",
    "label",
    "learning",
    "localbypass",
    "maxaddress",
    "nol2miss",
    "nol3miss",
    "nolearning",
    "nolocalbypass",
    "noproxy",
    "norsc",
    "noudp6zerocsumrx",
    "noudp6zerocsumtx",
    "noudpcsum",
    "proxy",
    "remcsumrx",
    "remcsumtx",
    "rsc",
    "srcport",
    "tos",
    "ttl",
    "udp6zerocsumrx",
    "udp6zerocsumtx",
    "udpcsum",
    "vnifilter",
];

/// Words that must not stand where an option without a value is followed by one.
const FOREIGN: &[&str] =
    &["dev", "external", "group", "id", "link", "local", "master", "netns", "remote", "type", "vni"];

/// The one option that takes two words.
fn is_range(name: &str, parts: &[&str]) -> bool {
    name == "srcport" && parts.len() == 2 && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The settings as words for iproute2, where all of them are known for this kind of link.
pub fn words(kind: &str, known: &[&str], settings: &[Setting]) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    for Setting { name, value } in settings {
        if !known.contains(&name.as_str()) {
            return Err(Failure::invalid(format!(
                "{name:?}: no option of a {kind} that may be set; known are {}",
                known.join(", ")
            )));
        }
        words.push(name.clone());
        let parts: Vec<&str> = value.iter().flat_map(|value| value.split_ascii_whitespace()).collect();
        for part in &parts {
            let fit =
                part.len() <= 64 && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte));
            // Behind an option without a value, or with two, a word would be the next option.
            if !fit || part.starts_with('-') || (parts.len() > 1 && !is_range(name, &parts)) || FOREIGN.contains(part) {
                return Err(Failure::invalid(format!("option {name} of a {kind}: {part:?} is no value of it")));
            }
            words.push((*part).to_owned());
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn setting(name: &str, value: Option<&str>) -> Setting {
        Setting { name: name.into(), value: value.map(Into::into) }
    }

    #[test]
    fn known_options_pass_and_others_do_not() {
        let settings =
            [setting("nolearning", None), setting("dstport", Some("4789")), setting("srcport", Some("1000 2000"))];
        assert_eq!(words("vxlan", VXLAN, &settings).unwrap().join(" "), "nolearning dstport 4789 srcport 1000 2000");
        for (name, value) in [
            ("dev", Some("eth0")),
            ("master", Some("br0")),
            ("remote", Some("10.0.0.1")),
            ("ttl", Some("16 dev eth0")),
            ("srcport", Some("1 2 3")),
            ("srcport", Some("dev eth0")),
            ("nolearning", Some("external")),
            ("ttl", Some("16;id")),
            ("ttl", Some("-x")),
            ("ttl", Some("16\nx")),
            ("", None),
        ] {
            assert!(words("vxlan", VXLAN, &[setting(name, value)]).is_err(), "{name} {value:?}");
        }
    }
}

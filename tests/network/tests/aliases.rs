//! Aliases: addresses of an interface that come and go by themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::{By, Grounds, State, assert_state, isolated, sh};

const RULES: &str = "<SECURITY_GROUP_RULE><PROTOCOL>TCP</PROTOCOL><RANGE>22</RANGE><RULE_TYPE>INBOUND</RULE_TYPE>\
    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";

const MAC: &str = "02:00:0a:00:00:07";

/// A machine whose interface has one IPv4 address, with what it says of its aliases, and aliases.
fn machine(driver: &str, ids: &str, aliases: &str) -> String {
    format!(
        "<VM><ID>7</ID><DEPLOY_ID>one-7</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE>{RULES}<NIC><NIC_ID>0</NIC_ID><VN_MAD>{driver}</VN_MAD><BRIDGE>br0</BRIDGE><MAC>{MAC}</MAC><IP>10.0.0.7</IP>\
        <FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING><SECURITY_GROUPS>0</SECURITY_GROUPS>{ids}</NIC>{aliases}</TEMPLATE></VM>"
    )
}

fn alias(id: u32, address: &str) -> String {
    format!("<NIC_ALIAS><NIC_ID>{id}</NIC_ID><PARENT_ID>0</PARENT_ID>{address}</NIC_ALIAS>")
}

fn attached(id: u32, address: &str) -> String {
    alias(id, &format!("{address}<ATTACH>YES</ATTACH>"))
}

fn host(by: By) -> Grounds {
    sh("ip link add br0 type bridge; ip link set br0 up");
    sh("ip tuntap add dev one-7-0 mode tap; ip link set one-7-0 master br0 up");
    let mut grounds = Grounds::by(by);
    grounds.domain(&format!(
        "<domain type='kvm'><name>one-7</name><devices><interface type='bridge'><mac address='{MAC}'/>\
        <target dev='one-7-0'/></interface></devices></domain>"
    ));
    grounds
}

fn post(vm: String) -> Call {
    Call::Post { vm, deploy_id: "one-7".into(), host: "node1".into() }
}

fn remote_post(vm: String) -> Call {
    Call::RemotePost { vm, deploy_id: "one-7".into(), host: "node1".into() }
}

fn update_sg(vm: String) -> Call {
    Call::UpdateSg { vm, deploy_id: "one-7".into() }
}

fn ok(grounds: &mut Grounds, driver: &str, call: Call) {
    let outcome = grounds.call(driver, call);
    assert!(matches!(outcome.result, Some(Ok(_))), "{driver}: {outcome:?}");
}

const IPV6: &str = "<IP6_ULA>fd00::9</IP6_ULA>";

/// Where the interface has no IPv6, nothing leads to its chains of that family before.
#[test]
fn an_alias_of_the_other_family_is_filtered_both_ways() {
    for by in By::ALL {
        for ids in ["<ALIAS_IDS>1</ALIAS_IDS>", ""] {
            isolated(move || {
                let mut grounds = host(by);
                ok(&mut grounds, "elastic", remote_post(machine("elastic", "", "")));
                assert!(!State::now().ip6tables.contains("-A opennebula -m physdev"));
                let marked = machine("elastic", ids, &attached(1, IPV6));
                ok(&mut grounds, "elastic", remote_post(marked.clone()));
                let now = State::now();
                for rule in [
                    "-A opennebula -m physdev --physdev-in one-7-0 --physdev-is-bridged -j one-7-0-o\n",
                    "-A opennebula -d fd00::9/128 -j one-7-0-i\n",
                    "-A INPUT -m physdev --physdev-in one-7-0 -j one-7-0-o\n",
                ] {
                    assert!(now.ip6tables.contains(rule), "{by:?}, {ids:?}: no {rule}{}", now.ip6tables);
                }
                assert!(now.ipset.contains("add one-7-0-ip6-spoofing fd00::9\n"), "{}", now.ipset);
                for call in [remote_post(marked.clone()), update_sg(machine("elastic", ids, &alias(1, IPV6)))] {
                    ok(&mut grounds, "elastic", call);
                    assert_state(&State::now(), &now, &format!("{by:?}, {ids:?}, again"));
                }
                ok(&mut grounds, "elastic", Call::RemoteClean { vm: marked, host: "node1".into() });
                let now = State::now();
                assert!(!now.ip6tables.contains("fd00::9") && !now.ipset.contains("fd00::9"), "{}", now.ip6tables);
                assert!(now.iptables.contains("-A opennebula -d 10.0.0.7/32 -j one-7-0-i\n"), "{}", now.iptables);
            });
        }
    }
}

/// Where it has IPv4, the alias' rule comes behind its own, and nothing else is touched.
#[test]
fn an_alias_of_the_same_family_comes_behind_its_interface() {
    for by in By::ALL {
        isolated(move || {
            let mut grounds = host(by);
            ok(&mut grounds, "elastic", remote_post(machine("elastic", "", "")));
            let before = State::now();
            let other = alias(1, IPV6);
            ok(&mut grounds, "elastic", remote_post(machine("elastic", "", &attached(1, IPV6))));
            let marked = machine("elastic", "", &(other + &attached(2, "<IP>10.0.0.9</IP><IP6_ULA>fd00::2</IP6_ULA>")));
            for _ in 0..2 {
                ok(&mut grounds, "elastic", remote_post(marked.clone()));
                let now = State::now();
                let to = |address: &str| format!("-A opennebula -d {address} -j one-7-0-i\n");
                let expected = before.iptables.replace(&to("10.0.0.7/32"), &(to("10.0.0.7/32") + &to("10.0.0.9/32")));
                assert_eq!(now.iptables, expected, "{by:?}");
                let both = to("fd00::9/128") + &to("fd00::2/128");
                assert!(now.ip6tables.contains(&both), "{by:?}: {}", now.ip6tables);
                assert!(now.ipset.contains("add one-7-0-ip-spoofing 10.0.0.9\n"), "{}", now.ipset);
            }
        });
    }
}

/// Of an alias and its interface, it is the alias that says which belongs to which.
#[test]
fn an_alias_that_its_interface_does_not_name_may_send() {
    isolated(|| {
        let mut grounds = host(By::Own);
        let aliases = alias(1, "<IP>10.0.0.9</IP>") + &alias(2, IPV6);
        let named = machine("fw", "<ALIAS_IDS>1,2</ALIAS_IDS>", &aliases);
        ok(&mut grounds, "fw", post(named));
        let expected = State::now();
        assert!(expected.ipset.contains("add one-7-0-ip-spoofing 10.0.0.9\n"), "{}", expected.ipset);
        for ids in ["", "<ALIAS_IDS>2</ALIAS_IDS>", "<ALIAS_IDS>7</ALIAS_IDS>"] {
            for call in [post(machine("fw", ids, &aliases)), update_sg(machine("fw", ids, &aliases))] {
                ok(&mut grounds, "fw", call);
                assert_state(&State::now(), &expected, ids);
            }
        }
    });
}

/// Machines that are routed to have public addresses, and so may their aliases.
#[test]
fn public_addresses_lead_to_an_interfaces_chains() {
    for by in [By::Own, By::Server] {
        for driver in ["elastic", "nodeport"] {
            isolated(move || {
                let mut grounds = host(by);
                let address = "<IP>198.51.100.7</IP><IP6_GLOBAL>2001:db8::7</IP6_GLOBAL>";
                let aliases = alias(1, "<IP>203.0.113.9</IP><IP6_GLOBAL>2001:db8:1::9</IP6_GLOBAL>");
                let vm = machine(driver, "", &aliases).replace("<IP>10.0.0.7</IP>", address);
                ok(&mut grounds, driver, update_sg(vm));
                let now = State::now();
                for (rules, address) in [
                    (&now.iptables, "198.51.100.7/32"),
                    (&now.iptables, "203.0.113.9/32"),
                    (&now.ip6tables, "2001:db8::7/128"),
                    (&now.ip6tables, "2001:db8:1::9/128"),
                ] {
                    assert!(rules.contains(&format!("-A opennebula -d {address} -j one-7-0-i\n")), "{by:?}: {rules}");
                }
            });
        }
    }
}

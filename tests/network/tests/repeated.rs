//! Actions called again, on damaged ground, with rules that cannot be, and many at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::{Case, Grounds, State, assert_state, isolated, mac, sh, together};

const EVERYTHING: &str = "<SECURITY_GROUP_RULE><PROTOCOL>ALL</PROTOCOL><RULE_TYPE>OUTBOUND</RULE_TYPE>\
    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE><SECURITY_GROUP_RULE><PROTOCOL>TCP</PROTOCOL>\
    <RANGE>22,80:90</RANGE><RULE_TYPE>INBOUND</RULE_TYPE><IP>10.0.0.0</IP><SIZE>300</SIZE>\
    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";

/// A machine with one interface on br0, with these rules and other elements of its template.
fn machine(vm: u32, rules: &str, more: &str) -> String {
    format!(
        "<VM><ID>{vm}</ID><DEPLOY_ID>one-{vm}</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE>{rules}<NIC><NIC_ID>0</NIC_ID><VN_MAD>fw</VN_MAD><BRIDGE>br0</BRIDGE><MAC>{}</MAC><IP>10.0.0.{}</IP>\
        <FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING><SECURITY_GROUPS>0</SECURITY_GROUPS></NIC>{more}</TEMPLATE></VM>",
        mac(vm, 0),
        vm % 250 + 1
    )
}

fn domain(vm: u32) -> String {
    format!(
        "<domain type='kvm'><name>one-{vm}</name><devices><interface type='bridge'><mac address='{}'/>\
        <target dev='one-{vm}-0'/></interface></devices></domain>",
        mac(vm, 0)
    )
}

fn post(vm: u32, document: String) -> Call {
    Call::Post { vm: document, deploy_id: format!("one-{vm}"), host: "node1".into() }
}

fn clean(document: String) -> Call {
    Call::Clean { vm: document, host: "node1".into() }
}

fn plug(vm: u32) {
    sh(&format!("ip tuntap add dev one-{vm}-0 mode tap; ip link set one-{vm}-0 master br0 up"));
}

fn bridge() {
    sh("ip link add br0 type bridge; ip link set br0 up");
}

/// A host with this machine running on it.
fn running(vm: u32) -> Grounds {
    let mut grounds = Grounds::default();
    bridge();
    plug(vm);
    grounds.domain(&domain(vm));
    grounds
}

fn ok(grounds: &mut Grounds, call: Call) {
    let outcome = grounds.call("fw", call);
    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
}

#[test]
fn post_twice_changes_nothing() {
    isolated(|| {
        let mut grounds = running(7);
        ok(&mut grounds, post(7, machine(7, EVERYTHING, "")));
        let before = State::now();
        ok(&mut grounds, post(7, machine(7, EVERYTHING, "")));
        assert_state(&State::now(), &before, "after the second post");
    });
}

#[test]
fn post_restores_what_somebody_removed() {
    for damage in [
        "iptables -D opennebula 1; ip6tables -D opennebula 1",
        "iptables -D FORWARD 1; ip6tables -D FORWARD 1",
        "iptables -F one-17-0-i; ip6tables -D one-17-0-o 2",
        "iptables -D opennebula -j ACCEPT",
        "ipset flush one-17-0-104-i-all-n-inet; ipset add one-17-0-104-o-tcp-n-inet 1.2.3.4",
        "iptables -F; iptables -X",
        "iptables -D INPUT 1; iptables -A one-17-0-o -j ACCEPT",
    ] {
        isolated(move || {
            let case = Case::read("15-fw-post-net");
            let mut grounds = case.prepare();
            ok(&mut grounds, case.call());
            sh(damage);
            ok(&mut grounds, case.call());
            assert_state(&State::now(), &case.after(), damage);
        });
    }
}

#[test]
fn clean_of_nothing_succeeds() {
    isolated(|| {
        let mut grounds = Grounds::default();
        for driver in ["dummy", "bridge", "fw", "vxlan", "802.1Q", "nodeport"] {
            let document = machine(7, EVERYTHING, "").replace("<VN_MAD>fw", &format!("<VN_MAD>{driver}"));
            for _ in 0..2 {
                let outcome = grounds.call(driver, clean(document.clone()));
                assert!(matches!(outcome.result, Some(Ok(_))), "{driver}: {outcome:?}");
            }
        }
    });
}

#[test]
fn post_then_clean_leaves_the_host_as_it_was() {
    isolated(|| {
        let mut grounds = running(7);
        ok(&mut grounds, post(7, machine(7, EVERYTHING, "")));
        ok(&mut grounds, clean(machine(7, EVERYTHING, "")));
        let empty = State::now();
        assert_eq!(empty.ipset, "");
        assert!(!empty.iptables.contains("one-7") && !empty.ip6tables.contains("one-7"), "{}", empty.iptables);
        assert!(empty.links.contains_key("br0"), "a tap is still in the bridge");
    });
}

/// Detaching a device of one kind never opens another.
#[test]
fn detaching_a_pci_device_leaves_the_interfaces_rules() {
    isolated(|| {
        let mut grounds = running(7);
        ok(&mut grounds, post(7, machine(7, EVERYTHING, "")));
        let before = State::now();
        let pci = "<PCI><NIC_ID>4</NIC_ID><VN_MAD>fw</VN_MAD><ATTACH>YES</ATTACH></PCI>";
        ok(&mut grounds, clean(machine(7, EVERYTHING, pci)));
        assert_state(&State::now(), &before, "after detaching a PCI device");
    });
}

/// Attaching one makes all rules anew, as with the stock driver.
#[test]
fn attaching_a_pci_device_makes_all_rules_anew() {
    isolated(|| {
        let mut grounds = running(7);
        let pci = "<PCI><NIC_ID>4</NIC_ID><VN_MAD>fw</VN_MAD><ATTACH>YES</ATTACH></PCI>";
        ok(&mut grounds, post(7, machine(7, EVERYTHING, pci)));
        let made = State::now();
        assert!(made.iptables.contains("-A one-7-0-i -j DROP\n"), "{}", made.iptables);
        sh("iptables -F; ip6tables -F one-7-0-o");
        ok(&mut grounds, post(7, machine(7, EVERYTHING, pci)));
        assert_state(&State::now(), &made, "after attaching a PCI device");
    });
}

const IMPOSSIBLE: [&str; 5] = [
    // One that only IPv6 has, so that IPv4 is asked first and has nothing against it.
    "<SECURITY_GROUP_RULE><PROTOCOL>nonsense</PROTOCOL><IP6>2001:db8::</IP6><SIZE>4</SIZE><RULE_TYPE>INBOUND</RULE_TYPE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>",
    "<SECURITY_GROUP_RULE><PROTOCOL>nonsense</PROTOCOL><RULE_TYPE>INBOUND</RULE_TYPE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>",
    "<SECURITY_GROUP_RULE><PROTOCOL>TCP</PROTOCOL><RANGE>90:80</RANGE><RULE_TYPE>INBOUND</RULE_TYPE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>",
    "<SECURITY_GROUP_RULE><PROTOCOL>ALL</PROTOCOL><RANGE>80</RANGE><RULE_TYPE>INBOUND</RULE_TYPE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>",
    "<SECURITY_GROUP_RULE><PROTOCOL>TCP</PROTOCOL><IP>10.0.0.1; id</IP><SIZE>1</SIZE><RULE_TYPE>INBOUND</RULE_TYPE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>",
];

#[test]
fn an_impossible_rule_leaves_the_old_ones_in_force() {
    for rule in IMPOSSIBLE {
        isolated(move || {
            let mut grounds = running(7);
            ok(&mut grounds, post(7, machine(7, EVERYTHING, "")));
            let before = State::now();
            let call = Call::UpdateSg { vm: machine(7, rule, ""), deploy_id: "one-7".into() };
            let outcome = grounds.call("fw", call);
            assert!(matches!(outcome.result, Some(Err(_))), "{outcome:?}");
            assert_state(&State::now(), &before, rule);
        });
    }
}

#[test]
fn an_impossible_rule_of_a_new_machine_closes_it() {
    for rule in IMPOSSIBLE {
        isolated(move || {
            let mut grounds = running(7);
            let outcome = grounds.call("fw", post(7, machine(7, rule, "")));
            assert!(matches!(outcome.result, Some(Err(_))), "{outcome:?}");
            let now = State::now();
            for rules in [&now.iptables, &now.ip6tables] {
                assert!(rules.contains("-A one-7-0-i -j DROP\n-A one-7-0-o -j DROP\n"), "{rules}");
                assert!(rules.contains("--physdev-out one-7-0 --physdev-is-bridged -j one-7-0-i"), "{rules}");
                assert!(rules.contains("-A FORWARD -m physdev --physdev-is-bridged -j opennebula"), "{rules}");
            }
            ok(&mut grounds, clean(machine(7, rule, "")));
            assert_eq!(State::now().ipset, "");
        });
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn many_at_once_end_as_one_after_the_other() {
    isolated(|| {
        bridge();
        let host = Grounds::default();
        let vms: Vec<u32> = (100..150).collect();
        let at_once = |make: fn(u32) -> Call| {
            let start = |vm: &u32| {
                let (vm, mut grounds) = (*vm, host.beside());
                grounds.domain(&domain(vm));
                Box::new(move || ok(&mut grounds, make(vm))) as Box<dyn FnOnce() + Send>
            };
            together(vms.iter().map(start).collect());
        };
        vms.iter().for_each(|vm| plug(*vm));
        at_once(|vm| post(vm, machine(vm, EVERYTHING, "")));
        let parallel = State::now();
        sh("iptables -F; iptables -X; ip6tables -F; ip6tables -X; sleep 0.2; ipset destroy");
        for vm in &vms {
            let mut grounds = host.beside();
            grounds.domain(&domain(*vm));
            ok(&mut grounds, post(*vm, machine(*vm, EVERYTHING, "")));
        }
        let serial = State::now();
        assert_eq!(sorted(&parallel.iptables), sorted(&serial.iptables));
        assert_eq!(sorted(&parallel.ip6tables), sorted(&serial.ip6tables));
        assert_eq!(sorted(&parallel.ipset), sorted(&serial.ipset));
        vms.iter().for_each(|vm| drop(sh(&format!("ip link del one-{vm}-0"))));
        at_once(|vm| clean(machine(vm, EVERYTHING, "")));
        let empty = State::now();
        assert!(!empty.iptables.contains("one-") && !empty.ip6tables.contains("one-"), "{}", empty.iptables);
        assert_eq!((empty.ipset.as_str(), empty.links.len()), ("", 0));
    });
}

/// What only a provider's plug-in can do on the front-end is left to the stock actions, and not done by half.
#[test]
fn elastic_leaves_the_front_ends_actions_to_the_stock_driver() {
    use remotes_sdk::Vnm as _;
    let stock = ["post", "clean"];
    assert!(vnm_elastic::Elastic::ACTIONS.iter().all(|action| !stock.contains(action)));
    let results = [
        vnm_elastic::Elastic::post(String::new(), "one-7".into(), "node1".into()),
        vnm_elastic::Elastic::clean(String::new(), "node1".into()),
    ];
    for (action, result) in stock.iter().zip(results) {
        let message = result.unwrap_err().message;
        assert!(message.starts_with(&format!("elastic/{action}: ")) && message.contains("tree install"), "{message}");
    }
}

//! What all machines' chains are called from: there whatever becomes of the machine that an action is about.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Grounds, State, isolated, sh};

fn assert_entered(when: &str) {
    let now = State::now();
    for rules in [&now.iptables, &now.ip6tables] {
        for rule in ["-A FORWARD -m physdev --physdev-is-bridged -j opennebula\n", "-A opennebula -j ACCEPT\n"] {
            assert!(rules.contains(rule), "{when}: no {rule}{rules}");
        }
    }
}

/// Calls `post` on a host with br0, which has to end so.
fn post(when: &'static str, succeeds: bool, prepare: impl Fn(&mut Grounds) + Send + Sync + 'static, vm: String) {
    isolated(move || {
        sh("ip link add br0 type bridge; ip link set br0 up");
        let mut grounds = Grounds::by(By::Own);
        prepare(&mut grounds);
        let deploy_id = if vm.contains(">lxc<") { "-" } else { "one-7" };
        for _ in 0..2 {
            let call = Call::Post { vm: vm.clone(), deploy_id: deploy_id.into(), host: "node1".into() };
            let outcome = grounds.call("fw", call);
            assert_eq!(outcome.result.as_ref().unwrap().is_ok(), succeeds, "{when}: {outcome:?}");
            assert_entered(when);
        }
    });
}

#[test]
fn an_action_that_builds_nothing_leaves_the_entry() {
    let one = Machine::new(7, "fw");
    let domain = one.domain();
    post("a tap is missing", false, move |grounds| grounds.domain(&domain), one.document());
    post("the machine is unknown", false, |_| (), one.document());
    post("no deploy id", false, |_| (), one.document().replace(">kvm<", ">lxc<"));
    let two = Machine::new(7, "fw").nics(2);
    let only_the_first = |grounds: &mut Grounds| {
        grounds.domain(&Machine::new(7, "fw").nics(2).domain());
        Machine::new(7, "fw").plug();
    };
    post("one of two taps is missing", false, only_the_first, two.document());
    // Of a machine that has its rules, a mark names what the action is about.
    let with_rules = |grounds: &mut Grounds| {
        let machine = Machine::new(7, "fw");
        grounds.domain(&machine.domain());
        machine.plug();
        machine.act(grounds, "post");
        for tool in ["iptables", "ip6tables"] {
            sh(&format!("{tool} -D FORWARD 1; {tool} -D opennebula -j ACCEPT"));
        }
    };
    let template = "<NIC><NIC_ID>4</NIC_ID><VN_MAD>bridge</VN_MAD><ATTACH>YES</ATTACH></NIC>".to_owned();
    post("another driver's interface", true, with_rules, Machine { template, ..one.clone() }.document());
    let template =
        "<NIC_ALIAS><NIC_ID>4</NIC_ID><PARENT_ID>0</PARENT_ID><IP>10.0.0.9</IP><ATTACH>YES</ATTACH></NIC_ALIAS>";
    post("an alias", true, with_rules, Machine { template: template.to_owned(), ..one }.document());
}

/// As with a rule that cannot be, the machine is closed.
#[test]
fn a_setting_that_is_no_number_closes_the_machine() {
    let machine = Machine { more: "<CONF>ipset_maxelem=many</CONF>".into(), ..Machine::new(7, "fw") };
    isolated(move || {
        sh("ip link add br0 type bridge; ip link set br0 up");
        let mut grounds = Grounds::default();
        grounds.domain(&machine.domain());
        machine.plug();
        let failure = grounds.call("fw", machine.call("post")).result.unwrap().unwrap_err();
        assert_eq!(failure.message, "ipset_maxelem is \"many\", expected a number");
        assert_entered("no number");
        let now = State::now();
        for rules in [&now.iptables, &now.ip6tables] {
            assert!(rules.contains("-A one-7-0-i -j DROP\n-A one-7-0-o -j DROP\n"), "{rules}");
        }
    });
}

/// What leads bridged packets to the chains leads no others there.
#[test]
fn routed_packets_meet_the_chains_whoever_came_first() {
    const BRIDGED: &str = "-A FORWARD -m physdev --physdev-is-bridged -j opennebula\n";
    const ALL: &str = "-A FORWARD -j opennebula\n";
    for by in By::ALL {
        for (drivers, expected) in [
            (["fw", "nodeport"], [BRIDGED, ALL].concat()),
            (["nodeport", "fw"], ALL.to_owned()),
            (["vxlan", "elastic"], [BRIDGED, ALL].concat()),
        ] {
            isolated(move || {
                sh("ip link add br0 type bridge; ip addr add 10.0.0.250/24 dev br0; ip link set br0 up");
                let mut grounds = Grounds::by(by);
                let machines = [7, 8].into_iter().zip(drivers).map(|(id, driver)| Machine::new(id, driver));
                let machines: Vec<Machine> = machines.collect();
                for machine in &machines {
                    machine.plug();
                    grounds.domain(&machine.domain());
                }
                for _ in 0..2 {
                    for (machine, driver) in machines.iter().zip(drivers) {
                        machine.act(&mut grounds, if driver == "elastic" { "remote_post" } else { "post" });
                    }
                }
                let now = State::now();
                for rules in [&now.iptables, &now.ip6tables] {
                    let forward: String = rules
                        .lines()
                        .filter(|line| line.starts_with("-A FORWARD "))
                        .map(|line| format!("{line}\n"))
                        .collect();
                    assert_eq!(forward, expected, "{by:?}: {drivers:?}\n{rules}");
                }
            });
        }
    }
}

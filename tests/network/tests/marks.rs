//! `ATTACH=YES`, which oned writes where an interface comes or goes, and which whoever owns a template may write.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Grounds, State, assert_state, isolated, sh};

const MARK: &str = "<ATTACH>YES</ATTACH>";

/// A host with this machine plugged in.
fn host(by: By, machine: &Machine) -> Grounds {
    sh("ip link add br0 type bridge; ip link set br0 up");
    let mut grounds = Grounds::by(by);
    grounds.domain(&machine.domain());
    machine.plug();
    grounds
}

fn alias(mark: &str) -> String {
    format!(
        "<NIC_ALIAS><NIC_ID>9</NIC_ID><PARENT_ID>0</PARENT_ID><IP>10.0.0.9</IP><IP6_ULA>fd00::9</IP6_ULA>{mark}\
        </NIC_ALIAS>"
    )
}

/// Marks that a template may have, of its own driver's interfaces and of what else there is.
fn marked(driver: &'static str) -> Vec<Machine> {
    let two = || Machine::new(7, driver).nics(2);
    let foreign = "<NIC><NIC_ID>4</NIC_ID><VN_MAD>bridge</VN_MAD><ATTACH>YES</ATTACH></NIC>".to_owned();
    vec![
        two().attaching(0),
        two().attaching(1),
        Machine { template: alias(MARK), ..two() },
        Machine { template: alias(MARK), ..two().attaching(0) },
        Machine { template: foreign, ..two() },
    ]
}

fn post(driver: &str, vm: String) -> Call {
    let (deploy_id, host) = ("one-7".to_owned(), "node1".to_owned());
    match driver {
        "elastic" => Call::RemotePost { vm, deploy_id, host },
        _ => Call::Post { vm, deploy_id, host },
    }
}

fn ok(grounds: &mut Grounds, driver: &str, call: Call) {
    let outcome = grounds.call(driver, call);
    assert!(matches!(outcome.result, Some(Ok(_))), "{driver}: {outcome:?}");
}

/// What a machine starts with, all of its interfaces have.
#[test]
fn marks_of_a_template_leave_no_interface_without_rules() {
    for (driver, by) in
        [("fw", By::Own), ("fw", By::Server), ("fw", By::Stock), ("vxlan", By::Own), ("802.1Q", By::Own)]
    {
        for machine in marked(driver) {
            isolated(move || {
                let (mut grounds, vm) = (host(by, &machine), machine.document());
                ok(&mut grounds, driver, post(driver, vm.clone()));
                let now = State::now();
                for chain in ["one-7-0-i", "one-7-0-o", "one-7-1-i", "one-7-1-o"] {
                    for rules in [&now.iptables, &now.ip6tables] {
                        assert!(rules.contains(&format!("-A {chain} -j DROP\n")), "{driver}: {chain}: {vm}\n{rules}");
                    }
                }
                ok(&mut grounds, driver, Call::UpdateSg { vm: vm.replace(MARK, ""), deploy_id: "one-7".into() });
                assert_state(&State::now(), &now, "as without marks");
            });
        }
    }
}

#[test]
fn so_it_is_where_machines_are_routed_to() {
    for machine in marked("elastic") {
        isolated(move || {
            let (mut grounds, vm) = (host(By::Own, &machine), machine.document());
            ok(&mut grounds, "elastic", post("elastic", vm.clone()));
            let now = State::now();
            for (rules, address) in [(&now.iptables, "10.1.0.8/32"), (&now.ip6tables, "fd00:1::8/128")] {
                assert!(rules.contains(&format!("-A opennebula -d {address} -j one-7-1-i\n")), "{vm}\n{rules}");
            }
            ok(&mut grounds, "elastic", Call::UpdateSg { vm: vm.replace(MARK, ""), deploy_id: "one-7".into() });
            assert_state(&State::now(), &now, "as without marks");
        });
    }
}

/// Where the others have their rules, a mark means what it says.
#[test]
fn a_mark_spares_what_has_its_rules() {
    isolated(|| {
        let machine = Machine::new(7, "fw").nics(2);
        let mut grounds = host(By::Own, &machine);
        machine.act(&mut grounds, "post");
        sh("iptables -I one-7-0-i -s 192.0.2.1 -j DROP");
        let before = State::now();
        for machine in [machine.clone().attaching(1), Machine { template: alias(MARK), ..machine }] {
            ok(&mut grounds, "fw", post("fw", machine.document()));
            assert_eq!(State::now().iptables, before.iptables);
        }
    });
}

//! Names that a machine's owner wants its ports to have (`TARGET`), and ports that have these names already.

use remotes_network_tests::{SwitchState, mac, sh, switched};

use super::{clean, host, machine, names, nic, ok, plug, post};

/// A machine on ovsbr0 whose interface is to be called so.
fn called(vm: u32, target: &str) -> String {
    let nic = nic("ovswitch", vm, 0, "<PHYDEV>eth1</PHYDEV>");
    machine(vm, &nic.replace(&format!("<TARGET>one-{vm}-0<"), &format!("<TARGET>{target}<")))
}

/// The machine did not start because there is such a link, or whose owner has changed the name since.
#[test]
fn a_port_of_somebody_elses_stays_whatever_the_template_says() {
    switched(|| {
        let mut grounds = host(&[(7, 2), (8, 1)]);
        plug("one-web");
        for vm in [7, 8] {
            ok(&mut grounds, "ovswitch", post(vm, called(vm, &format!("one-{vm}-0"))));
        }
        let before = SwitchState::now();
        for target in ["eth1", "one-8-0", "one-7-1", "one-web", "one-8-0-x", "ovsbr0"] {
            // Whose flows carry its address, they are not its for that.
            let vm = called(9, target).replace(&mac(9 * 4, 0), &mac(8 * 4, 0));
            for vm in [vm, called(9, target)] {
                ok(&mut grounds, "ovswitch", clean(vm));
                assert_eq!(SwitchState::now(), before, "{target}");
            }
        }
    });
}

/// What carries its note is its own, whatever it is called.
#[test]
fn a_port_of_its_own_goes_under_any_name() {
    switched(|| {
        let mut grounds = host(&[(8, 1)]);
        let domain = super::domain(7, 1).replace("one-7-0", "one-web");
        grounds.domain(&domain);
        plug("one-web");
        ok(&mut grounds, "ovswitch", post(7, called(7, "one-web")));
        ok(&mut grounds, "ovswitch", clean(called(7, "one-web")));
        let state = SwitchState::now();
        assert_eq!(names(&state), ["eth1", "one-8-0", "ovsbr0"]);
        assert_eq!(state.flows["ovsbr0"].len(), 1, "{:?}", state.flows);
        // One that had no time for flows, under the name that is its.
        sh("ip link del one-web");
        plug("one-7-0");
        ok(&mut grounds, "ovswitch", clean(called(7, "one-7-0")));
        assert_eq!(names(&SwitchState::now()), ["eth1", "one-8-0", "ovsbr0"]);
    });
}

//! A network driver that reaches for what is not OpenNebula's in Open vSwitch: on a real one of its own, under
//! the policy that such drivers have.

use remotes_containment::guest::VNM_FOREIGN_SWITCH;
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::FailureKind;
use remotes_effect::{Answer, Effect};
use remotes_network_tests::{SwitchState, sh, switched};

const USUAL: &str = "[openvswitch]\nbridges = [\"onebr*\", \"ovsbr*\"]\nuplinks = [\"eth*\"]\nports = [\"one-*\"]\n\
    [sriov]\nphysical = [\"eth*\"]\nrepresentors = [\"eth*\"]\n";

#[test]
pub fn vnm_foreign_switch() {
    switched(|| {
        sh("for tap in one-8-0 one-5-0 patch-tun wg0 eth1; do ip tuntap add dev $tap mode tap; ip link set $tap up; done
            for bridge in ovsbr0 br-int; do
                ovs-vsctl --timeout=20 add-br $bridge -- set bridge $bridge datapath_type=netdev
            done
            ovs-vsctl --timeout=20 add-port ovsbr0 eth1 -- add-port ovsbr0 one-8-0 -- set Port one-8-0 tag=3
            ovs-vsctl --timeout=20 add-port br-int one-5-0 -- add-port br-int patch-tun
            ovs-ofctl --timeout=20 add-flow br-int priority=9,in_port=1,actions=drop
            ovs-ofctl --timeout=20 add-flow ovsbr0 priority=9,in_port=2,actions=drop");
        let before = SwitchState::now();
        let grounds = Grounds::new();
        let trial = Trial::of(VNM_FOREIGN_SWITCH).granting(USUAL).pre();
        let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
        ended.assert_done();
        let mut said = String::new();
        let mut count = 0;
        for entry in ended.journal.entries.iter().filter(|entry| !matches!(entry.effect, Effect::Log(_))) {
            let failure = entry.answer.as_ref().and_then(Answer::failure);
            let failure = failure.unwrap_or_else(|| panic!("{:?} was not refused: {:?}", entry.effect, entry.answer));
            assert!(
                matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid),
                "{:?}: {failure}",
                entry.effect
            );
            said += &format!("{}\n", failure.message);
            count += 1;
        }
        assert_eq!(count, 124, "{said}");
        for word in [
            "bridge br-int: granted are onebr*, ovsbr*; `bridges` under [openvswitch]",
            "port wg0: granted are one-*; `ports` under [openvswitch]",
            "port one-5-0 is on bridge br-int, not on ovsbr0",
            "no column of a bridge that may be set",
            "has no : or @ in its name",
            "`vlan-limit` under [openvswitch]",
            "`physical` under [sriov]",
            "expected one like 03:10.2",
        ] {
            assert!(said.contains(word), "{word}\n{said}");
        }
        assert_eq!(SwitchState::now(), before);
    });
}

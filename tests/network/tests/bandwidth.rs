//! Limits of interfaces: what libvirt is asked for, as the stock drivers ask for it by `virsh domiftune`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use remotes_effect::libvirt::{Answer as Told, Bandwidth, Effect as Asked};
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::vnm::{Call, Reply};
use remotes_effect::{Answer, Effect, Executor};
use remotes_network_tests::Case;
use remotes_sdk::{Vnm, native};
use remotes_simulation::Simulation;
use vnm_802_1q::Vlan;
use vnm_fw::Fw;
use vnm_ovswitch::Ovswitch;
use vnm_ovswitch_vxlan::OvswitchVxlan;
use vnm_vxlan::Vxlan;

/// A simulated host that notes limits down.
struct Host {
    policy: Policy,
    simulation: Simulation,
    limits: Vec<String>,
}

impl Executor for Host {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if let Err(failure) = self.policy.check(effect) {
            return effect.refuse(failure).unwrap();
        }
        match effect {
            Effect::Libvirt(Asked::SetBandwidth { domain, interface, inbound, outbound, .. }) => {
                let (inbound, outbound) = (shown(*inbound), shown(*outbound));
                self.limits.push(format!("{domain} {interface} --inbound {inbound} --outbound {outbound}"));
                Answer::Libvirt(Told::SetBandwidth(Ok(())))
            }
            effect => self.simulation.execute(effect),
        }
    }
}

/// As `domiftune` takes it: nothing is no limit.
fn shown(limits: Option<Bandwidth>) -> String {
    let Bandwidth { average, peak, burst } = limits.expect("each direction gets its limits");
    [average, peak, burst].map(|value| if value == 0 { String::new() } else { value.to_string() }).join(",")
}

/// Calls a driver; what limits it asked for, and what came of it.
fn call<D: Vnm>(policy: &str, domain: Option<&str>, call: Call) -> (Vec<String>, Result<String, Failure>) {
    let policy = Policy::parse(policy, Path::new("policy.toml")).unwrap();
    let mut simulation = Simulation::new().policy(policy.clone());
    if let Some(xml) = domain {
        simulation = simulation.domain(xml, remotes_effect::libvirt::State::Running);
    }
    let host = Rc::new(RefCell::new(Host { policy, simulation, limits: Vec::new() }));
    let Reply::UpdateNic(result) = native::with(&host, || remotes_sdk::call_vnm::<D>(call)) else { unreachable!() };
    let limits = std::mem::take(&mut host.borrow_mut().limits);
    (limits, result)
}

const FW: &str = include_str!("../../../guests/vnm-fw/policy.toml");
const VXLAN: &str = include_str!("../../../guests/vnm-vxlan/policy.toml");
const VLAN: &str = include_str!("../../../guests/vnm-802-1q/policy.toml");
const OVSWITCH: &str = include_str!("../../../guests/vnm-ovswitch/policy.toml");
const OVSWITCH_VXLAN: &str = include_str!("../../../guests/vnm-ovswitch-vxlan/policy.toml");

fn recorded() -> (Case, String, String) {
    let case = Case::read("33-fw-update-nic-qos");
    let domain = case.shim("virsh", "-c qemu:///system dumpxml 7f3a0c1e-5b1d-4c57-9a61-000000000022");
    let commands = case.text("after/commands.txt");
    let line = commands.lines().find_map(|line| line.split_once("domiftune --live ")).unwrap();
    let limits = line.1.to_owned();
    (case, domain, limits)
}

#[test]
fn fw_update_nic_qos() {
    let (case, domain, limits) = recorded();
    assert_eq!(call::<Fw>(FW, Some(&domain), case.call()), (vec![limits], Ok(String::new())));
}

/// The recorded call for another driver, changed.
fn changed(driver: &str, change: impl Fn(String) -> String) -> Call {
    let Call::UpdateNic { vm, deploy_id, network_id } = recorded().0.call() else { unreachable!() };
    let vm = vm.replace("<VN_MAD><![CDATA[fw]]></VN_MAD>", &format!("<VN_MAD>{driver}</VN_MAD>"));
    assert!(driver == "fw" || vm.contains(driver), "{vm}");
    Call::UpdateNic { vm: change(vm), deploy_id, network_id }
}

#[test]
fn drivers_with_devices_do_the_same() {
    let (_, domain, limits) = recorded();
    let same = |vm| vm;
    let expected = (vec![limits], Ok(String::new()));
    assert_eq!(call::<Vxlan>(VXLAN, Some(&domain), changed("vxlan", same)), expected);
    assert_eq!(call::<Vlan>(VLAN, Some(&domain), changed("802.1Q", same)), expected);
    assert_eq!(call::<Ovswitch>(OVSWITCH, Some(&domain), changed("ovswitch", same)), expected);
    assert_eq!(call::<OvswitchVxlan>(OVSWITCH_VXLAN, Some(&domain), changed("ovswitch_vxlan", same)), expected);
}

#[test]
fn what_has_no_such_interface_is_left_alone() {
    let (_, domain, _) = recorded();
    let nothing = (Vec::new(), Ok(String::new()));
    let no_limit =
        |vm: String| vm.replace("OUTBOUND_AVG_BW><![CDATA[500]]></OUTBOUND_AVG_BW", "X></X").replace("BOUND_", "B_");
    assert_eq!(call::<Fw>(FW, Some(&domain), changed("fw", no_limit)), nothing, "another change");
    let other = domain.replace("02:00:0a:22:00:14", "02:00:0a:22:00:15");
    assert_eq!(call::<Fw>(FW, Some(&other), changed("fw", |vm| vm)), nothing, "no such interface");
    let container = |vm: String| vm.replace("kvm", "lxc");
    assert_eq!(call::<Fw>(FW, Some(&domain), changed("fw", container)), nothing, "a container");
}

#[test]
fn a_hypervisor_that_does_not_know_the_machine_fails_it() {
    let (limits, result) = call::<Fw>(FW, None, changed("fw", |vm| vm));
    assert_eq!((limits, result.is_err()), (Vec::new(), true));
}

#[test]
fn a_limit_that_is_no_number_fails_it() {
    let (_, domain, _) = recorded();
    let wrong = |vm: String| vm.replace("<![CDATA[1000]]>", "fast");
    let (limits, result) = call::<Fw>(FW, Some(&domain), changed("fw", wrong));
    assert_eq!(limits, Vec::<String>::new());
    assert!(result.unwrap_err().message.contains("\"fast\""));
}

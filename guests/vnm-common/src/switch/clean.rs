//! Unplugging.

use remotes_sdk::network::{Attached, Nic, Vm};
use remotes_sdk::openvswitch::{Bridge, Change, PortName};
use remotes_sdk::{Failure, info, locks, openvswitch};

use super::{LOCK, Uplink, apply, flows};
use crate::host::bridge_of;
use crate::settings::Settings;
use crate::taps::Taps;
use crate::{concerned, concerns_no_link};

/// Removes ports, flows, and the bridges that nothing but their uplink is plugged into.
pub fn clean<U: Uplink>(vm: &Vm) -> Result<(), Failure> {
    if let Some(Attached::Alias(id)) = vm.attached() {
        return forget_alias::<U>(vm, id);
    }
    if concerns_no_link(vm) {
        return Ok(());
    }
    locks::acquire(LOCK)?;
    let settings = Settings::default();
    concerned(vm, U::DRIVER).try_for_each(|nic| unplug::<U>(vm, nic, &settings))
}

fn unplug<U: Uplink>(vm: &Vm, nic: &Nic, settings: &Settings) -> Result<(), Failure> {
    let Some(name) = bridge_of(nic) else { return Ok(()) };
    let bridges = openvswitch::bridges()?;
    let uplink = U::name(nic);
    if let Some(bridge) = bridges.iter().find(|bridge| bridge.name == name) {
        let target = nic.target.as_deref().filter(|target| bridge.ports.iter().any(|port| port.name == *target));
        if let Some(target) = target {
            apply(&[Change::RemovePort(PortName { bridge: name.to_owned(), name: target.to_owned() })], false)?;
        }
        forget(vm, nic, bridge, target)?;
    }
    let Some(uplink) = uplink else { return Ok(()) };
    if settings.is(nic, "keep_empty_bridge")? {
        return Ok(());
    }
    if bridges.iter().any(|bridge| bridge.name == name) {
        if !openvswitch::remove_unused_bridge(name, std::slice::from_ref(&uplink))? {
            return Ok(());
        }
        info!("bridge {name} was removed");
    }
    let others: Vec<Bridge> = bridges.into_iter().filter(|bridge| bridge.name != name).collect();
    U::remove(&uplink, nic, &others)
}

/// Removes the interface's flows. Its port has gone, by itself or just now: a number that another port has
/// is not its any more.
fn forget(vm: &Vm, nic: &Nic, bridge: &Bridge, removed: Option<&str>) -> Result<(), Failure> {
    let listed = openvswitch::flows(&bridge.name)?;
    let ports = bridge.ports.iter().filter(|port| Some(port.name.as_str()) != removed);
    let taken: Vec<u32> = ports.filter_map(|port| port.number).collect();
    for number in flows::ports_of(&listed, vm, nic).into_iter().filter(|number| !taken.contains(number)) {
        openvswitch::forget_flows(&bridge.name, number)?;
    }
    Ok(())
}

/// Takes an alias' addresses out of its interface's flows.
fn forget_alias<U: Uplink>(vm: &Vm, id: u32) -> Result<(), Failure> {
    let Some(alias) = vm.aliases.iter().find(|alias| alias.id == id && alias.attach) else { return Ok(()) };
    let is_filtered = |nic: &Nic| nic.filter_ip_spoofing || nic.filter_mac_spoofing;
    let parent = vm.nics_of(U::DRIVER).find(|nic| alias.parent_id == Some(nic.id));
    let Some(nic) = parent.filter(|_| is_filtered(alias)) else { return Ok(()) };
    let (Some(bridge), Some(tap)) = (bridge_of(nic), Taps::find(vm, "").of(nic)) else { return Ok(()) };
    let others = flows::aliases(vm, nic).filter(|other| other.id != id);
    let flows = flows::of_with(vm, nic, others, &Settings::default())?;
    openvswitch::replace_flows(bridge, &tap, &flows)
}

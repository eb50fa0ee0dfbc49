//! Unplugging.

use remotes_sdk::network::{Attached, Nic, Vm};
use remotes_sdk::openvswitch::{Bridge, Change, PortName};
use remotes_sdk::{Failure, info, locks, openvswitch, warning};

use super::{LOCK, Uplink, apply, flows};
use crate::host::bridge_of;
use crate::settings::Settings;
use crate::taps::Taps;
use crate::{concerned, concerns_no_link, names};

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
        let port = match nic.target.as_deref() {
            Some(target) => own_port(vm, nic, bridge, target)?.filter(|port| uplink.as_deref() != Some(*port)),
            None => None,
        };
        if let Some(port) = port {
            apply(&[Change::RemovePort(PortName { bridge: name.to_owned(), name: port.to_owned() })], false)?;
        }
        forget(vm, nic, bridge, port)?;
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

/// The port that the template names, if it is on the bridge and this interface's: by the name that oned gives it, or
/// by the note in its flows. Any other one is an uplink or somebody else's, whose name the machine's owner wrote down.
fn own_port<'a>(vm: &Vm, nic: &Nic, bridge: &'a Bridge, target: &str) -> Result<Option<&'a str>, Failure> {
    let Some(port) = bridge.ports.iter().find(|port| port.name == target) else { return Ok(None) };
    let is_own = match port.number {
        _ if port.name == names::own(vm, nic) => true,
        Some(number) if !names::is_of_another(&port.name, vm, nic) => {
            flows::noted(&openvswitch::flows(&bridge.name)?, vm, nic).contains(&number)
        }
        _ => false,
    };
    if !is_own {
        warning!(
            "NIC {}: port {target} of bridge {} stays: nothing but TARGET says that it is its",
            nic.id,
            bridge.name
        );
    }
    Ok(Some(port.name.as_str()).filter(|_| is_own))
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

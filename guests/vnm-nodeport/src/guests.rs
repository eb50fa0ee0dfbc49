//! Who else is on a bridge.

use remotes_sdk::links::Link;
use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::{Failure, links};
use vnm_common::{concerned, groups, names};

/// Whether a bridge has ports of other machines, or of interfaces that stay when those go which the action is about. Until
/// the action ends, none has its rules made, which it needs before it is served.
pub fn others_on(vm: &Vm, driver: &str, bridge: &str) -> Result<bool, Failure> {
    groups::lock()?;
    let going: Vec<&Nic> = concerned(vm, driver).collect();
    let goes = |port: &Link| going.iter().any(|nic| is_its(vm, nic, &port.name));
    let ports = links::entries()?.into_iter().filter(|link| link.master.as_deref() == Some(bridge));
    Ok(ports.filter(is_guest).any(|port| !goes(&port)))
}

/// Taps are machines', whatever they are called; containers have other links, under the names that oned gives.
fn is_guest(port: &Link) -> bool {
    port.kind == "tun" || names::is_given(&port.name)
}

fn is_its(vm: &Vm, nic: &Nic, port: &str) -> bool {
    let is_called = || nic.target.as_deref() == Some(port) && !names::is_of_another(port, vm, nic);
    port == names::own(vm, nic) || is_called()
}

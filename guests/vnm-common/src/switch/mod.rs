//! Bridges of Open vSwitch: the drivers ovswitch and ovswitch_vxlan.
//!
//! Each interface's port has its VLANs in the switch's database, and flows for the packets that come in by
//! it, which the note in the first one ties to the interface. What an action wants of the database is one
//! transaction; a port's flows are exchanged in one step.

mod clean;
mod driver;
mod flows;
mod functions;
mod ports;
mod update;

use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::openvswitch::{Backing, Bridge, Change, NewBridge, NewPort, PortColumns, Setting};
use remotes_sdk::{Failure, FailureKind, error, locks, openvswitch, warning};

use crate::device::leads_nowhere;
use crate::host::bridge_of;
use crate::settings::Settings;
use crate::taps::Taps;

use clean::clean;
use update::update_nic;

pub use driver::Driver;

/// The lock that the drivers of these bridges share. OpenNebula's own take none.
const LOCK: &str = "ovswitch";

/// What is special about a driver: its bridges' way out.
pub trait Uplink {
    /// the driver's name
    const DRIVER: &'static str;
    /// whether it serves virtual functions of network cards
    const FUNCTIONS: bool;
    /// whether that way out is a device of the driver's own, not a link that the host has anyway
    const OWN: bool;

    /// The link that an interface's bridge leads out by, if any.
    fn name(nic: &Nic) -> Option<String>;

    /// What the network would have to say to have such a link, and does not.
    fn missing(_nic: &Nic) -> Option<&'static str> {
        None
    }

    /// Makes that link where it is the driver's own, and missing.
    fn make(name: &str, nic: &Nic, settings: &Settings) -> Result<(), Failure>;

    /// Removes that link, where it is the driver's own and no bridge needs it.
    fn remove(name: &str, nic: &Nic, bridges: &[Bridge]) -> Result<(), Failure>;
}

/// Makes the bridges that are missing, and plugs their uplinks in.
fn pre<U: Uplink>(vm: &Vm) -> Result<(), Failure> {
    locks::acquire(LOCK)?;
    connect::<U>(vm, None)
}

/// Sets the ports of the interfaces up: VLANs, size of packets, flows.
fn post<U: Uplink>(vm: &Vm, deploy_id: &str) -> Result<(), Failure> {
    if U::FUNCTIONS {
        functions::post(vm, U::DRIVER)?;
    }
    let mut nics = vm.nics_of(U::DRIVER).peekable();
    if nics.peek().is_none() {
        return Ok(());
    }
    let taps = Taps::find(vm, deploy_id);
    connect::<U>(vm, Some(&taps))?;
    let settings = Settings::default();
    for nic in nics {
        if let (Some(bridge), Some(tap)) = (bridge_of(nic), taps.of(nic)) {
            openvswitch::replace_flows(bridge, &tap, &flows::of(vm, nic, &settings)?)?;
        }
    }
    Ok(())
}

/// Why a change of a security group fails: these bridges have none.
fn no_groups() -> Failure {
    const REASON: &str = "Security groups not supported for ovswitch";
    error!("{REASON}");
    Failure::unsupported(REASON)
}

/// What is wanted of the database, in one transaction; of the interfaces' ports only where these are known.
fn connect<U: Uplink>(vm: &Vm, taps: Option<&Taps>) -> Result<(), Failure> {
    let settings = Settings::default();
    let (mut changes, mut is_tunnelled) = (Vec::new(), false);
    for nic in vm.nics_of(U::DRIVER) {
        let Some(bridge) = bridge_of(nic) else { continue };
        if settings.is(nic, "validate_vlan_id")? {
            error!("VLAN ID validation not supported for OpenvSwitch, skipped.");
        }
        changes.push(Change::EnsureBridge(new_bridge(bridge, nic, &settings)?));
        if let Some(key) = U::missing(nic) {
            apply(&changes, is_tunnelled)?;
            return Err(leads_nowhere(nic, bridge, key));
        }
        if let Some(uplink) = U::name(nic) {
            U::make(&uplink, nic, &settings)?;
            changes.push(ensure_port(bridge, &uplink, Backing::Link));
        }
        if let Some(target) = nic.target.as_deref().filter(|_| is_dpdk(nic)) {
            changes.push(ensure_port(bridge, target, Backing::VhostUser));
        }
        let Some(taps) = taps else { continue };
        let tap = taps.require(nic).map_err(|failure| match failure.kind {
            FailureKind::NotFound => Failure::not_found(format!("No tap device found for nic {}", nic.id)),
            _ => failure,
        })?;
        let columns = ports::columns(nic, &settings)?;
        is_tunnelled |= ports::is_tunnelled(nic);
        changes.push(Change::SetPort(PortColumns { bridge: bridge.to_owned(), name: tap, columns }));
    }
    apply(&changes, is_tunnelled)
}

/// Carries changes out, and lets the switch look at two tags where a port needs that.
fn apply(changes: &[Change], is_tunnelled: bool) -> Result<(), Failure> {
    if is_tunnelled {
        openvswitch::limit_vlans(2)?;
    }
    if changes.is_empty() {
        return Ok(());
    }
    for complaint in openvswitch::apply(changes)? {
        warning!("Open vSwitch: {complaint}");
    }
    Ok(())
}

fn is_dpdk(nic: &Nic) -> bool {
    nic.bridge_type.as_deref() == Some("openvswitch_dpdk")
}

fn new_bridge(name: &str, nic: &Nic, settings: &Settings) -> Result<NewBridge, Failure> {
    let mut pairs = settings.switch(nic)?;
    if is_dpdk(nic) {
        pairs.retain(|(name, _)| name != "datapath_type");
        pairs.push(("datapath_type".to_owned(), "netdev".to_owned()));
    }
    let settings = pairs.into_iter().map(|(name, value)| Setting { name, value }).collect();
    Ok(NewBridge { name: name.to_owned(), settings })
}

fn ensure_port(bridge: &str, name: &str, backing: Backing) -> Change {
    Change::EnsurePort(NewPort { bridge: bridge.to_owned(), name: name.to_owned(), backing })
}

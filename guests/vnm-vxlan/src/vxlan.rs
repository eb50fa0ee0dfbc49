//! The device below a bridge.

use remotes_sdk::Failure;
use remotes_sdk::network::Nic;
use vnm_common::device::Device;
use vnm_common::settings::Settings;
use vnm_common::vxlan;

/// The driver, and its kind of device.
pub struct Vxlan;

impl Device for Vxlan {
    const DRIVER: &'static str = "vxlan";
    const KIND: &'static str = "vxlan";
    const LOCK: &'static str = "vxlandriver";

    fn make(name: &str, nic: &Nic, settings: &Settings) -> Result<bool, Failure> {
        vxlan::make(name, "VLAN_ID", nic.vlan_id.as_deref(), nic, settings)
    }
}

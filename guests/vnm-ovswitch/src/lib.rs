//! The stock driver `ovswitch`: interfaces on bridges of Open vSwitch, whose uplinks are links of the host.

use remotes_sdk::Failure;
use remotes_sdk::network::Nic;
use remotes_sdk::openvswitch::Bridge;
use vnm_common::settings::Settings;
use vnm_common::switch::{Driver, Uplink};

/// Bridges lead out by links of the host.
pub struct Links;

impl Uplink for Links {
    const DRIVER: &'static str = "ovswitch";
    const FUNCTIONS: bool = true;
    const OWN: bool = false;

    fn name(nic: &Nic) -> Option<String> {
        nic.phydev.clone()
    }

    fn make(_name: &str, _nic: &Nic, _settings: &Settings) -> Result<(), Failure> {
        Ok(())
    }

    fn remove(_name: &str, _nic: &Nic, _bridges: &[Bridge]) -> Result<(), Failure> {
        Ok(())
    }
}

/// The driver.
pub type Ovswitch = Driver<Links>;

remotes_sdk::export_vnm!(Ovswitch);

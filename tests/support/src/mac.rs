//! Addresses of virtual machines' interfaces.

/// The address of an interface of a machine, as different machines and interfaces have different ones.
pub fn mac(machine: u32, nic: u32) -> String {
    format!("02:00:0a:{nic:02x}:{:02x}:{:02x}", machine / 256, machine % 256)
}

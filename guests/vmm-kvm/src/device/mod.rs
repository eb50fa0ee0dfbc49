//! Devices as libvirt wants them described, made of what oned says of them.

pub mod disk;
pub mod iotune;
pub mod live;
pub mod media;
pub mod nic;
pub mod pci;
pub mod source;
pub mod unplug;

//! The actions on a simulated host, behind the policy that the driver is shipped with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cancel;
mod deploy;
mod disk;
mod exec;
mod firmware;
mod fixture;
mod interrupted;
mod kills;
mod media;
mod nic;
mod power;
mod recorded;
mod resize;
mod restore;
mod save;
mod shutdown;
mod snapshots;
mod tpm;
mod vgpu;

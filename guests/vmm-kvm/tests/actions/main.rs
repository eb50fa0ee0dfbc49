//! The actions on a simulated host, behind the policy that the driver is shipped with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cancel;
mod deploy;
mod firmware;
mod fixture;
mod interrupted;
mod power;
mod recorded;
mod restore;
mod save;
mod shutdown;
mod tpm;
mod vgpu;

//! One module an action, named as the action.

pub mod attach_disk;
pub mod attach_nic;
pub mod cancel;
pub mod deploy;
pub mod detach_disk;
pub mod detach_nic;
pub mod exec;
pub mod exec_cancel;
pub mod migrate;
pub mod migrate_local;
pub mod prereconfigure;
pub mod reboot;
pub mod reconfigure;
pub mod reset;
pub mod resize;
pub mod resize_disk;
pub mod restore;
pub mod save;
pub mod shutdown;
pub mod snapshot_create;
pub mod snapshot_delete;
pub mod snapshot_revert;

//! One module an action, named as the action.

pub mod cancel;
pub mod deploy;
pub mod reboot;
pub mod reset;
pub mod restore;
pub mod save;
pub mod shutdown;

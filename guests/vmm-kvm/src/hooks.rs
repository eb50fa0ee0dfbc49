//! Programs that a transfer driver may add to save and restore: the tools `save.TM_MAD` and
//! `restore.TM_MAD`, called with the action's arguments and its document.

use remotes_sdk::vm::Action;
use remotes_sdk::{Failure, FailureKind};

use crate::tool;

/// Calls the hook of the system datastore's transfer driver; none where it has none.
pub fn call(action: &str, hook: &str, arguments: [&str; 5]) -> Result<Option<bool>, Failure> {
    if action.trim().is_empty() {
        return Ok(None);
    }
    let data = Action::parse(action)?;
    let Some(driver) = data.text("DATASTORE/TM_MAD") else { return Ok(None) };
    match tool::run(&format!("{hook}.{driver}"), &arguments.map(str::to_owned), action) {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        other => other,
    }
}

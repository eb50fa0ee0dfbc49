//! Programs that a transfer driver may add to save and restore: the tools `save.TM_MAD` and
//! `restore.TM_MAD`, called with the action's arguments and its document.

use remotes_sdk::vm::Action;
use remotes_sdk::{Failure, FailureKind};

use crate::tool;

/// The hook of an action's document.
pub struct Hook<'a> {
    /// the system datastore's transfer driver; none where there is none to ask
    driver: Option<String>,
    action: &'a str,
}

impl<'a> Hook<'a> {
    /// Reads the document.
    pub fn of(action: &'a str) -> Result<Self, Failure> {
        let driver = match action.trim().is_empty() {
            true => None,
            false => Action::parse(action)?.text("DATASTORE/TM_MAD").map(str::to_owned),
        };
        Ok(Self { driver, action })
    }

    /// Calls the transfer driver's hook of this name; none where it has none.
    pub fn call(&self, hook: &str, arguments: [&str; 5]) -> Result<Option<bool>, Failure> {
        let Some(driver) = &self.driver else { return Ok(None) };
        match tool::run(&format!("{hook}.{driver}"), &arguments.map(str::to_owned), self.action) {
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
            other => other,
        }
    }
}

//! `remotes list`: the drivers of a tree.

use std::process::ExitCode;

use anyhow::Result;
use remotes_effect::policy::Policy;
use serde::Serialize;

use super::{Intent, act_as_owner, find_tree, installed, ready};
use crate::cli::{InTree, List};
use crate::output;

#[derive(Serialize)]
struct Row {
    name: String,
    driver: Option<String>,
    contract: Option<String>,
    actions: Vec<String>,
    component: Option<String>,
    /// whether its actions can run
    ready: bool,
    state: String,
}

pub fn run(arguments: &List, json: bool) -> Result<ExitCode> {
    let named = arguments.dir.as_ref().or(arguments.tree.tree.as_ref());
    let tree = find_tree(&InTree { tree: named.cloned() })?;
    act_as_owner(tree.root(), Intent::Look)?;
    // Actions run as the one who asks: act_as_owner has seen to that.
    let user = rustix::process::geteuid().as_raw();
    let mut rows = Vec::new();
    for (subsystem, name) in installed(&tree)? {
        let policy = Policy::read_in_force(&tree.policy(&subsystem, &name), user);
        let limits = policy.as_ref().map(|policy| policy.limits.clone()).unwrap_or_default();
        let looked = ready::look(&tree.driver(&subsystem, &name), &remotes_sandbox::engine(&limits)?);
        let manifest = looked.as_ref().ok().map(|(manifest, _)| manifest.clone());
        let state = match (&looked, &policy) {
            (Err(error), _) => error.clone(),
            (Ok(_), Err(error)) => error.to_string(),
            (Ok((_, code)), Ok(_)) => ["ready"].into_iter().chain(code.note()).collect::<Vec<_>>().join("; "),
        };
        rows.push(Row {
            name: format!("{subsystem}/{name}"),
            driver: manifest.as_ref().map(|m| m.driver.clone()),
            contract: manifest.as_ref().map(|m| m.contract.clone()),
            actions: manifest.as_ref().map(|m| m.actions.clone()).unwrap_or_default(),
            component: manifest.map(|m| m.component),
            ready: looked.is_ok() && policy.is_ok(),
            state,
        });
    }
    output::list(&rows, json, &["NAME", "DRIVER", "CONTRACT", "ACTIONS", "COMPONENT", "STATE"], |row| {
        let short = |text: &Option<String>, length| match text {
            Some(text) => text.chars().take(length).collect(),
            None => "-".to_owned(),
        };
        vec![
            row.name.clone(),
            short(&row.driver, 64),
            short(&row.contract, 16),
            row.actions.len().to_string(),
            short(&row.component, 12),
            row.state.clone(),
        ]
    })?;
    Ok(ExitCode::SUCCESS)
}

//! A component that is in no tree, made ready to be called: to try it before it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use remotes_action::convention;
use remotes_action::prepare::Prepared;
use remotes_action::tree::Identity;
use remotes_effect::deadline::Deadline;
use remotes_effect::policy::Policy;
use remotes_sandbox::Driver;
use remotes_sandbox::cache::digest;
use remotes_sandbox::cache::manifest::Manifest;
use remotes_sandbox::inspect::inspect;

use crate::commands::compile;
use crate::usage::Usage;

/// Gets the component ready for this action.
pub fn prepare(
    component: &Path,
    policy: &Path,
    identity: &Identity,
    argv: &[String],
    stdin: &[u8],
) -> Result<Prepared> {
    let Identity { subsystem, driver, action } = identity;
    let call = convention::call(subsystem, action, argv, stdin).map_err(|error| Usage::error(error.to_string()))?;
    let policy = Arc::new(Policy::read(policy)?);
    let compiled = compile::component(&compile::read(component)?).with_context(|| component.display().to_string())?;
    let engine = remotes_sandbox::engine(&policy.limits)?;
    let loaded = compiled.load(&engine)?;
    let inspection = inspect(&engine, &loaded);
    if !inspection.subsystems.contains(subsystem) {
        let found = inspection.subsystems.join(", ");
        let found = if found.is_empty() { "no driver at all".to_owned() } else { format!("one of {found}") };
        bail!("{}: expected a driver of {subsystem}, which {identity} names; it is {found}", component.display());
    }
    let manifest = Manifest {
        driver: format!("{subsystem}/{driver}"),
        contract: inspection.contract.unwrap_or_default(),
        // Nobody has asked it.
        actions: Vec::new(),
        component: digest(&compiled.component),
        wasi: inspection.wasi,
        policies: BTreeSet::new(),
        previous: BTreeSet::new(),
        precompiled: BTreeMap::new(),
    };
    // Compiling is not of the action's time.
    let deadline = Deadline::after(policy.limits.time(action));
    Ok(Prepared { driver: Driver::new(engine, loaded), manifest, policy, call, deadline })
}

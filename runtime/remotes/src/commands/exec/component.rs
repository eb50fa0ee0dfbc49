//! A component that is in no tree, made ready to be called: to try it before it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use remotes_action::convention;
use remotes_action::prepare::Prepared;
use remotes_action::tree::Identity;
use remotes_effect::deadline::Deadline;
use remotes_effect::policy::Policy;
use remotes_sandbox::cache::digest;
use remotes_sandbox::cache::manifest::Manifest;

use crate::commands::compile::{self, Loaded};
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
    let Loaded { driver: loaded, inspection, compiled } = compile::driver(component, &policy.limits, subsystem)?;
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
    Ok(Prepared { driver: loaded, manifest, policy, call, deadline })
}

//! One driver on its way into a tree: its component encoded, looked at, compiled, asked for its actions.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use remotes_effect::deadline::Deadline;
use remotes_effect::journal::Nothing;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::{Limits, Policy, SCHEMA};
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Call, Effect, Executor};
use remotes_sandbox::Driver;
use remotes_sandbox::cache::digest;
use remotes_sandbox::cache::manifest::Manifest;

use crate::commands::compile::{self, Loaded};

/// How long a driver that has started may take to say which actions it has.
const ANSWER: Duration = Duration::from_secs(10);

/// What is put into the tree.
pub struct Built {
    pub manifest: Manifest,
    pub component: Vec<u8>,
    pub code: Vec<u8>,
    pub policy: String,
}

/// Reads and builds `FROM/SUBSYSTEM/DRIVER`. It has to do with the limits of the policy that its actions will run under:
/// the one at `installed`, if there is one already, or else the one that comes with it.
pub fn build(from: &Path, subsystem: &str, name: &str, installed: &Path) -> Result<Built> {
    let folder = from.join(subsystem).join(name);
    let path = folder.join("component.wasm");
    let policy_file = folder.join("policy.toml");
    let shipped = Policy::read(&policy_file)?;
    // The operator's that cannot be read lets no action run, and is no reason to leave the driver out.
    let (limits, limits_of) = match Policy::read(installed) {
        Ok(policy) => (policy.limits, installed),
        Err(_) => (shipped.limits, &*policy_file),
    };
    let policy = std::fs::read_to_string(&policy_file).with_context(|| policy_file.display().to_string())?;
    let Loaded { driver, inspection, compiled } = compile::driver(&path, &limits, subsystem)?;
    let actions = actions(&driver, subsystem, limits).with_context(|| {
        format!("{}: cannot ask it for its actions, by the limits of {}", path.display(), limits_of.display())
    })?;
    let manifest = Manifest {
        driver: format!("{subsystem}/{name}"),
        contract: inspection.contract.unwrap_or_default(),
        actions,
        component: digest(&compiled.component),
        wasi: inspection.wasi,
        // What was there before is known where it is laid down.
        policies: BTreeSet::new(),
        precompiled: [(std::env::consts::ARCH.to_owned(), digest(&compiled.code))].into(),
        previous: BTreeSet::new(),
    };
    Ok(Built { manifest, component: compiled.component, code: compiled.code, policy })
}

/// Asks a driver for its actions, with nothing granted and nothing at the other end.
fn actions(driver: &Driver, subsystem: &str, limits: Limits) -> Result<Vec<String>> {
    let call = Call::actions_of(subsystem).with_context(|| format!("there is no subsystem {subsystem}"))?;
    let deadline = Deadline::after(Duration::from_secs(limits.start_seconds) + ANSWER);
    let policy = Arc::new(Policy { schema: SCHEMA, limits, ..Policy::default() });
    let pipeline = Pipeline::new(policy, Nothing, Nobody);
    let outcome = driver.call(&call, pipeline, deadline, None);
    let reply = outcome.result?;
    let mut actions = reply.actions().context("it answered something else")?.to_vec();
    actions.sort();
    actions.dedup();
    if let Some(unknown) = actions.iter().find(|action| !remotes_effect::actions(subsystem).contains(&action.as_str()))
    {
        bail!("it claims an action {unknown:?}, which {subsystem} does not have");
    }
    Ok(actions)
}

/// Carries nothing out.
struct Nobody;

impl Executor for Nobody {
    fn execute(&mut self, effect: &Effect) -> Answer {
        let failure =
            Failure::denied(format!("{}: a driver that is asked for its actions may call nothing", effect.name()));
        effect.decline(failure)
    }
}

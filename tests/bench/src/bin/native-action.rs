//! `remotes-action` with vmm/kvm compiled in natively: what WebAssembly costs is the difference.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result};
use remotes_action::run::{emit, machine_for, policy_journal};
use remotes_action::tree::{Identity, Tree};
use remotes_action::{convention, diagnostics};
use remotes_effect::deadline::Deadline;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Call, Effect, Executor, Reply};
use vmm_kvm::Kvm;

fn main() -> Result<ExitCode> {
    diagnostics::start();
    let mut arguments = std::env::args().skip(1);
    let tree = Tree::at(arguments.next().context("expected the tree")?);
    let identity: Identity = arguments.next().context("expected the action")?.parse()?;
    let argv: Vec<String> = arguments.collect();
    let stdin = remotes_action::prepare::standard_input()?;
    let call = convention::call(&identity.subsystem, &identity.action, &argv, &stdin)?;
    let policy = Arc::new(Policy::read(&tree.policy(&identity.subsystem, &identity.driver))?);
    let deadline = Deadline::after(policy.limits.time(&identity.action));
    let journal = policy_journal(&policy, &identity);
    let executor = machine_for(&tree, &identity, policy.clone(), deadline);
    let pipeline = Rc::new(RefCell::new(Piped(Pipeline::new(policy, journal, executor))));
    let Call::Vmm(typed) = call.clone() else { anyhow::bail!("expected a hypervisor action") };
    let reply = remotes_sdk::native::with(&pipeline, || remotes_sdk::call_vmm::<Kvm>(typed));
    let printed = convention::print(&call, &Reply::Vmm(reply));
    emit(&printed);
    Ok(ExitCode::from(printed.code))
}

/// The pipeline as an executor.
struct Piped<J, E>(Pipeline<J, E>);

impl<J: remotes_effect::journal::Journal, E: Executor> Executor for Piped<J, E> {
    fn execute(&mut self, effect: &Effect) -> Answer {
        match self.0.perform(effect.clone()) {
            Ok(answer) => answer,
            Err(stop) => match effect.refuse(Failure::failed(stop.to_string())) {
                Some(answer) => answer,
                None => panic!("{stop}"),
            },
        }
    }
}

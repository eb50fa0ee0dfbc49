//! Failures on demand, and kills at every effect.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::virt::*;
use common::*;
use remotes_effect::Executor;
use remotes_effect::journal::Nothing;
use remotes_effect::libvirt::State;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::types::FailureKind::*;
use remotes_simulation::{Interrupt, Simulation, catch};

/// An action that can be repeated after a kill at any effect.
fn save_action<E: Executor>(executor: &mut E) -> Result<(), Failure> {
    match find(executor, UUID) {
        Err(failure) if failure.kind == NotFound && fs::stat(executor, "/ds/checkpoint").is_ok() => return Ok(()),
        found => found?,
    };
    if fs::stat(executor, "/ds/checkpoint").is_ok() {
        let time = now(executor);
        fs::rename(executor, "/ds/checkpoint", &format!("/ds/checkpoint.{time}"))?;
    }
    save(executor, UUID, "/ds/checkpoint")?;
    fs::set_mode(executor, "/ds/checkpoint", 0o660)
}

fn world() -> Simulation {
    Simulation::new().domain(&one_5(), State::Running).file("/ds/checkpoint", "old")
}

fn count() -> u64 {
    let mut executor = Interrupt::never(world());
    save_action(&mut executor).unwrap();
    executor.carried_out()
}

#[test]
fn an_action_is_killed_at_every_effect_and_repeated() {
    assert_eq!(count(), 6);
    for effects in 0..=count() {
        let mut world = world();
        let mut killed = Interrupt::after(&mut world, effects);
        let result = save_action(&mut killed);
        assert_eq!(result.is_ok(), effects == count(), "{effects}");
        assert_eq!(killed.carried_out(), effects);
        assert_eq!(killed.refused().is_some(), effects < count());
        assert_eq!(world.effects, effects);
        save_action(&mut world).unwrap();
        assert_eq!(world.domains().count(), 0);
        assert!(world.here.text("/ds/checkpoint").unwrap().contains("one-5"));
        assert_eq!(world.here.files.entry("/ds").map(|_| ()), Some(()));
    }
}

#[test]
fn a_kill_can_unwind_the_call() {
    for effects in 0..count() {
        let mut world = world();
        let result = catch(|| save_action(&mut Interrupt::after(&mut world, effects).unwinding()));
        assert_eq!(result.unwrap_err().after, effects);
        assert_eq!(world.effects, effects);
    }
    assert!(catch(|| save_action(&mut Interrupt::never(world()).unwinding())).unwrap().is_ok());
}

#[test]
fn other_panics_go_on() {
    let result = std::panic::catch_unwind(|| catch(|| std::panic::resume_unwind(Box::new("mine"))));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"mine"));
}

#[test]
fn fails_on_demand() {
    let busy = Failure::busy("active block job");
    let mut world = world().failing("libvirt.save", 2, busy.clone()).failing("libvirt.find", 1, busy.clone());
    assert_eq!(find(&mut world, UUID).unwrap_err(), busy);
    find(&mut world, UUID).unwrap();
    save(&mut world, UUID, "/ds/a").unwrap();
    restore(&mut world, "/ds/a", None).unwrap();
    assert_eq!(save(&mut world, UUID, "/ds/a").unwrap_err(), busy);
    assert_eq!(world.domains().count(), 1);
    save(&mut world, UUID, "/ds/a").unwrap();
    assert!(world.failures.is_empty());
}

#[test]
fn loses_answers_on_demand() {
    let lost = Failure::unknown("the connection was lost");
    let mut world = Simulation::new().losing("libvirt.create", 1, lost.clone());
    assert_eq!(create(&mut world, &one_5(), false).unwrap_err(), lost);
    assert!(find(&mut world, UUID).is_ok());
}

#[test]
fn tools_and_the_policy() {
    let outcome = |status| remotes_effect::tools::Outcome { status, stdout: Vec::new(), stderr: Vec::new() };
    let mut world =
        Simulation::new().tool("vgpu").tool_outcome("sysctl", outcome(1)).tool_outcome("sysctl", outcome(0));
    for status in [1, 0, 0] {
        assert_eq!(run(&mut world, "sysctl", &["-p"]).unwrap().status, status);
    }
    assert_eq!(world.here.tools.0["sysctl"].runs[2].arguments, ["-p"]);
    assert_eq!(refused(run(&mut world, "nope", &[])).0, NotFound);
}

#[test]
fn a_name_behind_a_uuid_is_checked() {
    let policy = Policy {
        libvirt: Some(remotes_effect::policy::LibvirtGrant {
            uris: vec![remotes_effect::policy::Pattern("qemu:///system".into())],
            domains: vec![remotes_effect::policy::Pattern("one-*".into())],
            ..Default::default()
        }),
        ..Policy::default()
    };
    let foreign = description("mine", OTHER_UUID);
    let base = Simulation::new().domain(&foreign, State::Running).domain(&one_5(), State::Running).directory("/ds");
    let mut world = base.clone();
    save(&mut world, OTHER_UUID, "/ds/foreign").unwrap();
    restore(&mut world, "/ds/foreign", None).unwrap();
    let mut world = world.policy(policy.clone());
    assert_eq!(refused(destroy(&mut world, OTHER_UUID)).0, Denied);
    assert_eq!(refused(find(&mut world, "mine")).0, Denied);
    assert_eq!(refused(saved_xml(&mut world, "/ds/foreign")).0, Denied);
    assert_eq!(refused(restore(&mut world, "/ds/foreign", None)).0, Denied);
    assert_eq!(domains(&mut world).unwrap().len(), 1);
    find(&mut world, UUID).unwrap();
    let mut world = base.policy(policy).configuration("LIBVIRT_URI", "qemu+ssh://elsewhere/system");
    assert_eq!(refused(find(&mut world, UUID)).0, Denied);
}

#[test]
fn effects_go_through_policy_and_journal_by_the_hundred_thousand() {
    let mut policy = Policy::default();
    policy.limits.effects = 200_000;
    let mut pipeline = Pipeline::new(policy.into(), Nothing, world());
    let effect = remotes_effect::Effect::Configuration(remotes_effect::configuration::Effect::Get { key: "K".into() });
    for _ in 0..100_000 {
        pipeline.perform(effect.clone()).unwrap();
    }
    assert_eq!(pipeline.executor.effects, 100_000);
}

//! Random effects, whatever they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/random.rs"]
mod random;

use std::collections::BTreeSet;

use common::{OTHER_UUID, UUID, description, one_5, virt};
use proptest::collection::vec;
use proptest::prelude::*;
use random::seed;
use remotes_effect::libvirt::State;
use remotes_effect::{Answer, Effect, Executor, filesystem, libvirt};
use remotes_simulation::{Agent, Directory, Entry, Guest, Image, Machine, Plan, Simulation, describe};

fn world() -> Simulation {
    let mut world = Simulation::new()
        .file("/w/a/b", "1")
        .file("/w/a/c/a", "2")
        .file("/w/c", "3")
        .link("/w/l", "a/c")
        .link("/w/m", "/w/b")
        .link("/w/a/l", "../c")
        .link("/w/a/m", "m")
        .here(|machine| machine.image("/w/b/a", Image::new("qcow2", 1 << 20)).file("/w/b/b", "4"))
        .domain(&one_5().replace("/var/lib/one//datastores/0/5/disk.0", "/w/b/a"), State::Running)
        .domain(&description("one-6", OTHER_UUID), State::ShutOff);
    world.hosts.insert("b".to_owned(), Machine::new().file("/w/a/b", "5").link("/w/l", "a").directory("/w/b"));
    // As guests in a plan are.
    let guest = || Guest { agent: Agent::answering(frozen()), ..Guest::default() };
    world.here.libvirt.other_guests = guest();
    world.hosts.values_mut().for_each(|machine| machine.libvirt.other_guests = guest());
    virt::snapshot_create(&mut world, UUID, "<domainsnapshot><name>s</name></domainsnapshot>").unwrap();
    virt::snapshot_create(&mut world, UUID, "<domainsnapshot><name>t</name></domainsnapshot>").unwrap();
    world
}

fn machines(world: &Simulation) -> impl Iterator<Item = &Machine> {
    std::iter::once(&world.here).chain(world.hosts.values())
}

fn frozen() -> [(&'static str, serde_json::Value); 3] {
    ["guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fsfreeze-thaw"].map(|name| (name, 0.into()))
}

fn check_domains(machine: &Machine) -> Result<(), TestCaseError> {
    let mut seen = BTreeSet::new();
    for domain in machine.libvirt.domains.iter() {
        let active = domain.state != State::ShutOff;
        prop_assert_eq!(active, domain.id.is_some());
        prop_assert_eq!(active, domain.live.is_some());
        prop_assert!(active || domain.config.is_some(), "{} is neither active nor persistent", domain.name);
        prop_assert!(active || (domain.power_off.is_none() && domain.unplugs.is_empty() && domain.copies.is_empty()));
        let parents = domain.checkpoints.values().filter_map(|checkpoint| checkpoint.parent.as_ref());
        for name in parents {
            prop_assert!(domain.checkpoints.contains_key(name), "no checkpoint {}", name);
        }
        for unique in [Some(domain.name.clone()), Some(domain.uuid.clone()), domain.id.map(|id| id.to_string())] {
            prop_assert!(unique.is_none_or(|unique| seen.insert(unique)), "{} is there twice", domain.name);
        }
        for xml in domain.live.iter().chain(&domain.config) {
            let document = roxmltree::Document::parse(xml);
            prop_assert!(document.is_ok(), "{}", xml);
            let document = document.unwrap();
            let id = document.root_element().attribute("id").map(str::to_owned);
            let expected = domain.id.filter(|_| Some(xml) == domain.live.as_ref()).map(|id| id.to_string());
            prop_assert_eq!(id, expected);
            let name = remotes_effect::policy::domain_name(xml);
            prop_assert_eq!(name.as_ref().ok(), Some(&domain.name));
        }
        let current = domain.current_snapshot.iter();
        let named = domain.snapshots.values().filter_map(|snapshot| snapshot.parent.as_ref()).chain(current);
        for name in named {
            prop_assert!(domain.snapshots.contains_key(name), "no snapshot {}", name);
        }
        for mut snapshot in domain.snapshots.values() {
            for _ in 0..=domain.snapshots.len() {
                match snapshot.parent.as_ref().and_then(|parent| domain.snapshots.get(parent)) {
                    Some(parent) => snapshot = parent,
                    None => break,
                }
            }
            prop_assert!(snapshot.parent.is_none(), "snapshots are their own ancestors");
        }
    }
    Ok(())
}

fn check_files(directory: &Directory, depth: usize) -> Result<(), TestCaseError> {
    prop_assert!(depth <= 256);
    for (name, entry) in &directory.entries {
        prop_assert!(!name.is_empty() && name.len() <= 255 && !name.contains(['/', '\0']));
        prop_assert!(name != "." && name != "..");
        prop_assert_eq!(entry.metadata().mode & !0o1777, 0);
        match entry {
            Entry::Directory(below) => check_files(below, depth + 1)?,
            Entry::File(file) => prop_assert!(file.size >= file.content.len() as u64),
            _ => {}
        }
    }
    Ok(())
}

/// An answer without what a plan does not know: ids, bytes on disk, when a folder was changed, the words
/// of a failure.
fn comparable(answer: &Answer) -> String {
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Filesystem(filesystem::Answer::Stat(Ok(metadata))) => {
            metadata.allocated = 0;
            if metadata.kind == filesystem::Kind::Directory {
                metadata.modified = 0;
            }
        }
        Answer::Image(remotes_effect::image::Answer::Inspect(Ok(info))) => info.actual_size = 0,
        Answer::Libvirt(
            libvirt::Answer::Find(Ok(one)) | libvirt::Answer::Create(Ok(one)) | libvirt::Answer::Define(Ok(one)),
        ) => {
            one.id = one.id.map(|_| 0);
        }
        Answer::Libvirt(libvirt::Answer::Domains(Ok(all))) => all.iter_mut().for_each(|one| one.id = one.id.map(|_| 0)),
        Answer::Libvirt(libvirt::Answer::Xml(Ok(xml))) => {
            *xml =
                (0..100).fold(xml.clone(), |xml, id| xml.replacen(&format!(" id='{id}' type='kvm'"), " type='kvm'", 1));
        }
        _ => {}
    }
    match answer.failure() {
        Some(failure) => failure.kind.name().to_owned(),
        None => format!("{answer:?}"),
    }
}

/// Passes on and notes what would change something.
struct Watched<'a> {
    world: &'a mut Simulation,
    changes: Vec<&'static str>,
}

impl Executor for Watched<'_> {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if effect.changes() {
            self.changes.push(effect.name());
        }
        self.world.execute(effect)
    }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_world_stays_one(seeds in vec(seed(), 1..40)) {
        let mut world = world();
        for seed in seeds {
            let effect = seed.effect();
            let line = describe(&effect);
            prop_assert!(!line.chars().any(char::is_control) && line.len() < 1500, "{}", line);
            let answer = world.execute(&effect);
            for machine in machines(&world) {
                check_domains(machine)?;
                check_files(&machine.files.root, 0)?;
            }
            // Nobody runs in two places.
            let active = |machine: &Machine| {
                machine.libvirt.domains.iter().filter(|it| it.active()).map(|it| it.uuid.clone()).collect::<Vec<_>>()
            };
            if let Effect::Libvirt(libvirt::Effect::Migrate { .. }) = effect
                && answer.failure().is_none()
            {
                let (here, there) = (active(&world.here), active(&world.hosts["b"]));
                prop_assert!(here.iter().all(|uuid| !there.contains(uuid)), "{:?} {:?}", here, there);
            }
        }
        let text = serde_json::to_string(&world).unwrap();
        prop_assert_eq!(serde_json::from_str::<Simulation>(&text).unwrap(), world);
    }

    #[test]
    fn a_failure_changes_nothing(seeds in vec(seed(), 1..40)) {
        let mut world = world();
        for seed in seeds {
            let effect = seed.effect();
            let before = world.clone();
            // Guests go on while somebody looks.
            let quiet = machines(&before).all(|it| {
                it.libvirt.domains.iter().all(|it| it.power_off.is_none() && it.unplugs.is_empty())
            });
            if world.execute(&effect).failure().is_some() && quiet {
                for (after, before) in machines(&world).zip(machines(&before)) {
                    prop_assert_eq!(&after.files, &before.files, "{}", describe(&effect));
                    prop_assert_eq!(&after.libvirt.domains, &before.libvirt.domains, "{}", describe(&effect));
                }
            }
        }
    }

    #[test]
    fn a_plan_answers_as_the_world_would(seeds in vec(seed(), 1..40)) {
        let (mut real, mut copy) = (world(), world());
        let before = (real.here.clone(), real.hosts.clone());
        let mut watched = Watched { world: &mut real, changes: Vec::new() };
        let mut plan = Plan::new(&mut watched);
        let mut done = Vec::new();
        for seed in seeds {
            let effect = seed.effect();
            let (answer, expected) = (plan.execute(&effect), copy.execute(&effect));
            // An agent in a plan knows every command.
            if !matches!(effect, Effect::Libvirt(libvirt::Effect::GuestAgent { .. })) {
                prop_assert_eq!(comparable(&answer), comparable(&expected), "{} after {:#?}", describe(&effect), done);
            }
            done.push(describe(&effect));
        }
        prop_assert!(plan.steps().iter().all(Effect::changes));
        prop_assert_eq!(watched.changes, Vec::<&str>::new());
        prop_assert_eq!(&(real.here, real.hosts), &before);
    }
}

//! migrate is killed before each of its effects and then repeated: it ends as if it had not been.

use remotes_effect::libvirt::Effect as E;
use remotes_effect::{Effect, Executor};
use remotes_sdk::testing::{Call, Host, Image, Simulation};
use remotes_sdk::types::Node;
use remotes_sdk::{Failure, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::{UUID, host};
use crate::migration::*;

type Move = fn(&Host) -> Call<()>;

/// The machine with snapshots that libvirt knows and its folder keeps.
fn snapshotted(world: Simulation) -> Simulation {
    let mut world = world;
    for number in 0..2 {
        let xml = format!(
            "<domainsnapshot><name>snap-{number}</name><state>running</state><creationTime>{number}</creationTime></domainsnapshot>"
        );
        world = world.file(&format!("{AT}/snap-{number}.xml"), xml.clone());
        let effect = E::SnapshotRedefine { on: Node::Here, domain: UUID.into(), xml, current: false };
        assert_eq!(world.execute(&Effect::Libvirt(effect)).failure(), None);
    }
    world.here(|machine| {
        let path = format!("{AT}/disk.0.snap/1");
        let image = machine.files.file(&path).unwrap().header();
        machine.image(&path, Image { snapshots: vec!["snap-0".into(), "snap-1".into()], ..image })
    })
}

/// Everything that counts: what runs where, with which disks, metadata and snapshots, and all files.
fn end(host: &Host) -> String {
    let simulation = host.simulation();
    let machines = std::iter::once(&simulation.here).chain(simulation.hosts.values());
    let all: Vec<_> = machines
        .map(|machine| {
            let domains: Vec<_> = machine.libvirt.domains.iter().collect();
            let domains = domains.iter().map(|domain| {
                let xml = domain.xml();
                // Its id is the hypervisor's own.
                let rest =
                    xml.split_once('>').map_or(xml, |(_, rest)| rest).replace("one//datastores", "one/datastores");
                (domain.state, rest, domain.snapshots.keys().cloned().collect::<Vec<_>>(), domain.copies.clone())
            });
            (domains.collect::<Vec<_>>(), tree(machine, "/var/lib/one/datastores"))
        })
        .collect();
    format!("{all:#?}")
}

/// Kills it everywhere, and once more at some other place, before it comes to its end. Returns the kills.
fn killed(world: impl Fn() -> Simulation, go: Move) -> usize {
    let whole = host(world());
    let call = go(&whole);
    let effects = call.done.len();
    call.value();
    let expected = end(&whole);
    let mut kills = 0;
    for index in 0..effects {
        for second in [None, Some(index / 2), Some(index)] {
            let host = host(world());
            assert!(go(host.stop_before(index)).result.is_none());
            kills += 1;
            if let Some(second) = second {
                // The repeat may need fewer effects than that.
                kills += usize::from(go(host.stop_before(second)).result.is_none());
            }
            let call = go(&host);
            let log = call.log();
            assert!(matches!(call.result, Some(Ok(()))), "before {index} and {second:?}: {:?} {log:#?}", call.result);
            assert_eq!(end(&host), expected, "before {index} and {second:?}: {log:#?}");
        }
    }
    kills
}

/// Kills it everywhere, and has the machine cancelled on both hosts: nothing runs, and no disk is lost.
fn undone(world: impl Fn() -> Simulation, go: Move) -> usize {
    let effects = go(&host(world())).done.len();
    for index in 0..=effects {
        let host = host(world());
        go(host.stop_before(index));
        let before = tree(&host.simulation().here, AT);
        host.call(|| Kvm::cancel(UUID.into(), "node1".into(), String::new())).value();
        for machine in host.simulation().hosts.into_values() {
            assert!(machine.libvirt.domains.iter().count() <= 1);
        }
        assert_eq!(host.simulation().domains().count(), 0);
        assert_eq!(tree(&host.simulation().here, AT), before);
    }
    effects
}

/// After a kill, a repeat that fails for good leaves the machine running, and of what was made nothing.
fn failed(world: impl Fn() -> Simulation, go: Move, at: &str) -> usize {
    let whole = host(world());
    let call = go(&whole);
    let last = call.done.iter().position(|(effect, _)| effect.name() == at).unwrap();
    let clean = host(world().failing(at, 1, Failure::failed("no")));
    go(&clean).failure();
    let expected = end(&clean);
    for index in 0..=last {
        let host = host(world());
        go(host.stop_before(index));
        host.change(|world| world.failing(at, 1, Failure::failed("no")));
        let call = go(&host);
        assert!(call.failure().message.contains("no"), "before {index}");
        assert_eq!(end(&host), expected, "before {index}: {:?}", call.log());
    }
    last
}

#[test]
fn with_shared_storage() {
    let kills = killed(|| snapshotted(together()), |host| to_host(host, "YES"));
    println!("{kills} kills with shared storage");
    assert!(kills > 60, "{kills}");
    undone(|| snapshotted(together()), |host| to_host(host, "YES"));
    failed(|| snapshotted(together()), |host| to_host(host, "YES"), "libvirt.migrate");
}

#[test]
fn with_storage_of_their_own() {
    let kills = killed(apart, |host| to_host(host, "NO"));
    println!("{kills} kills with storage of their own");
    assert!(kills > 200, "{kills}");
    undone(apart, |host| to_host(host, "NO"));
    failed(apart, |host| to_host(host, "NO"), "libvirt.migrate");
}

/// One disk has gone over when it is killed, and the other one never does: the first one comes back, and all that
/// was made for either is gone.
#[test]
fn a_repeat_that_fails_undoes_what_was_done_before_the_kill() {
    let broken = |world: Simulation| {
        (1..=3).fold(world, |world, nth| world.failing("libvirt.end-block-job", nth, Failure::failed("no")))
    };
    let clean = host(broken(apart()));
    to_datastore(&clean).failure();
    let whole = host(apart());
    let call = to_datastore(&whole);
    let second = call.done.iter().rposition(|(effect, _)| effect.name() == "libvirt.end-block-job").unwrap();
    let host = host(apart());
    to_datastore(host.stop_before(second));
    // The copy that still runs is given up first.
    host.change(|world| {
        (2..=4).fold(world, |world, nth| world.failing("libvirt.end-block-job", nth, Failure::failed("no")))
    });
    let call = to_datastore(&host);
    assert!(call.failure().message.ends_with("no"), "{:?} {:?}", call.failure(), call.log());
    assert!(call.log().iter().any(|line| line.contains("vda is copied back")), "{:?}", call.log());
    assert_eq!(end(&host), end(&clean));
}

#[test]
fn to_another_datastore() {
    let kills = killed(apart, to_datastore);
    println!("{kills} kills on the way to another datastore");
    assert!(kills > 200, "{kills}");
    undone(apart, to_datastore);
    failed(apart, to_datastore, "libvirt.block-copy");
}

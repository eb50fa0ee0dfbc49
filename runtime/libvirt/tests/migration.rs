//! Guests that move between two private libvirtds.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::path::Path;
use std::time::Duration;

use proxy::{MIGRATE_FINISH3_PARAMS, MIGRATE_PERFORM3_PARAMS, Proxy};
use remotes_effect::frame::Hello;
use remotes_effect::libvirt::{Executor as _, Migration, State};
use remotes_effect::policy::Pattern;
use remotes_effect::types::FailureKind;
use remotes_libvirt::Session;
use remotes_test_support::{Guest, Pair, PrivateLibvirt, Side, until, wait_for};
use support::{HERE, migration, policy, session};

/// A session at the source, which may move guests to this daemon.
fn towards(pair: &Pair, target: &str, patience: Duration) -> Session {
    let uri = pair.source.uri();
    let mut policy = policy(uri, pair.storage());
    let targets = [target, Pair::MIGRATE_URI].map(|uri| Pattern(uri.to_owned()));
    policy.libvirt.as_mut().unwrap().migration_targets = targets.into();
    Session::new(uri, &Hello::new(policy, patience))
}

const HOUR: Duration = Duration::from_secs(3600);

fn source(pair: &Pair) -> Session {
    towards(pair, pair.destination.uri(), HOUR)
}

fn destination(pair: &Pair) -> Session {
    session(pair.destination.uri(), pair.storage())
}

/// With shared storage that libvirt does not know for it.
fn shared(uri: &str) -> Migration {
    Migration { allow_unsafe: true, migrate_uri: Some(Pair::MIGRATE_URI.to_owned()), ..migration(uri) }
}

fn with_disks(uri: &str) -> Migration {
    Migration { allow_unsafe: false, disks: vec!["vda".to_owned()], ..shared(uri) }
}

/// A guest that runs on storage of the source's own, as everybody else sees it.
fn on_own_storage(pair: &Pair, session: &mut Session, id: u32) -> Guest {
    let guest = Guest::in_folder(&pair.own_of(Side::Source), id).unwrap();
    session.create(&HERE, &guest.seen_in(&pair.own()).xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    guest
}

fn on_shared_storage(pair: &Pair, session: &mut Session, id: u32) -> Guest {
    let guest = Guest::in_folder(&pair.shared().join(id.to_string()), id).unwrap();
    session.create(&HERE, &guest.xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    guest
}

/// Room for the guest's disk at the destination.
fn room(pair: &Pair, guest: &Guest) -> Guest {
    let there = guest.seen_in(&pair.own_of(Side::Destination));
    let disk = std::fs::File::create(&there.disk).unwrap();
    disk.set_len(std::fs::metadata(&guest.disk).unwrap().len()).unwrap();
    there
}

/// Makes the disk one whose copy takes minutes where one MiB a second goes over.
fn enlarge(guest: &Guest) {
    let mut content = std::fs::read(&guest.disk).unwrap();
    content.resize(200 << 20, 0x55);
    std::fs::write(&guest.disk, content).unwrap();
}

fn state(session: &mut Session, guest: &Guest) -> Result<State, FailureKind> {
    session.find(&HERE, &guest.name).map(|domain| domain.state).map_err(|failure| failure.kind)
}

fn end(session: &mut Session, guest: &Guest) {
    session.shutdown(&HERE, &guest.name).unwrap();
    wait_for("the guest's end", || state(session, guest) == Err(FailureKind::NotFound));
    assert_eq!(guest.starts().unwrap(), 1, "it went on where it was");
}

#[test]
fn on_shared_storage_it_is_there_and_gone_here() {
    let pair = Pair::start().unwrap();
    let (mut here, mut there) = (source(&pair), destination(&pair));
    let guest = on_shared_storage(&pair, &mut here, 7);

    let careful = Migration { allow_unsafe: false, ..shared(pair.destination.uri()) };
    let failure = here.migrate(&HERE, &guest.name, &careful).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
    assert!(failure.message.contains("Unsafe migration") && failure.message.contains("`allow-unsafe`"), "{failure}");
    assert_eq!(state(&mut here, &guest), Ok(State::Running));

    here.migrate(&HERE, &guest.uuid, &shared(pair.destination.uri())).unwrap();
    assert_eq!(state(&mut here, &guest), Err(FailureKind::NotFound));
    assert_eq!(state(&mut there, &guest), Ok(State::Running));
    let failure = here.migrate(&HERE, &guest.name, &shared(pair.destination.uri())).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
    end(&mut there, &guest);
}

#[test]
fn every_way_libvirt_has_leads_there() {
    let pair = Pair::start().unwrap();
    let (mut here, mut there) = (source(&pair), destination(&pair));
    let uri = pair.destination.uri();
    for (id, how) in [
        (1, Migration { compressed: true, bandwidth: Some(1000), ..shared(uri) }),
        (
            2,
            Migration {
                auto_converge: true,
                auto_converge_initial: Some(20),
                auto_converge_increment: Some(10),
                abort_on_error: true,
                ..shared(uri)
            },
        ),
        (3, Migration { parallel_connections: Some(2), listen_address: Some("127.0.0.1".to_owned()), ..shared(uri) }),
        (4, Migration { peer_to_peer: true, ..shared(uri) }),
        (5, Migration { peer_to_peer: true, tunnelled: true, migrate_uri: None, ..shared(uri) }),
    ] {
        let guest = on_shared_storage(&pair, &mut here, id);
        here.migrate(&HERE, &guest.name, &how).unwrap_or_else(|failure| panic!("{how:?}: {failure}"));
        assert_eq!(state(&mut here, &guest), Err(FailureKind::NotFound));
        assert_eq!(state(&mut there, &guest), Ok(State::Running), "{how:?}");
        end(&mut there, &guest);
    }
    // What does not go together is libvirt's to say.
    let guest = on_shared_storage(&pair, &mut here, 6);
    for how in [
        Migration { tunnelled: true, ..shared(uri) },
        Migration { auto_converge_initial: Some(20), ..shared(uri) },
        Migration { tls: true, ..shared(uri) },
        Migration { disks: vec!["vdz".to_owned()], ..shared(uri) },
    ] {
        let failure = here.migrate(&HERE, &guest.name, &how).unwrap_err();
        assert!(!matches!(failure.kind, FailureKind::Unknown | FailureKind::Denied), "{how:?}: {failure}");
        assert_eq!(state(&mut here, &guest), Ok(State::Running), "{how:?}");
        assert_eq!(state(&mut there, &guest), Err(FailureKind::NotFound), "{how:?}");
    }
}

#[test]
fn with_its_disk_it_arrives_paused_and_goes_on() {
    let pair = Pair::start().unwrap();
    let (mut here, mut there) = (source(&pair), destination(&pair));
    let guest = on_own_storage(&pair, &mut here, 8);
    let copy = room(&pair, &guest);
    let how = Migration { paused: true, ..with_disks(pair.destination.uri()) };
    here.migrate(&HERE, &guest.name, &how).unwrap();
    assert_eq!(state(&mut here, &guest), Err(FailureKind::NotFound));
    assert_eq!(state(&mut there, &guest), Ok(State::Paused));
    assert_eq!(std::fs::read(&copy.disk).unwrap(), std::fs::read(&guest.disk).unwrap());
    there.resume(&HERE, &guest.name).unwrap();
    there.shutdown(&HERE, &guest.name).unwrap();
    wait_for("its end", || state(&mut there, &guest) == Err(FailureKind::NotFound));
}

#[test]
fn what_fails_there_leaves_it_running_here() {
    let pair = Pair::start().unwrap();
    let (mut here, mut there) = (source(&pair), destination(&pair));
    let guest = on_own_storage(&pair, &mut here, 9);
    let console = guest.seen_in(&pair.own_of(Side::Destination)).console;
    let no_room = with_disks(pair.destination.uri());
    let stays = |here: &mut Session, there: &mut Session, how: &Migration| {
        let failure = here.migrate(&HERE, &guest.name, how).unwrap_err();
        assert_eq!(state(here, &guest), Ok(State::Running), "{failure}");
        assert_eq!(state(there, &guest), Err(FailureKind::NotFound), "{failure}");
        failure
    };
    let failure = stays(&mut here, &mut there, &no_room);
    assert_eq!(failure.kind, FailureKind::Failed, "no room for the disk: {failure}");
    assert!(failure.message.contains(pair.own().to_str().unwrap()), "{failure}");
    assert!(!console.exists());

    // The target is there, and too small; it is found out while the disk is copied.
    let copy = room(&pair, &guest);
    std::fs::File::create(&copy.disk).unwrap().set_len(512).unwrap();
    stays(&mut here, &mut there, &no_room);

    let mut nowhere = no_room.clone();
    nowhere.uri = format!("qemu+unix:///session?socket={}/none", pair.storage().display());
    let mut here = towards(&pair, &nowhere.uri, HOUR);
    let failure = stays(&mut here, &mut there, &nowhere);
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
}

#[test]
fn it_is_given_up_by_another_action() {
    let pair = Pair::start().unwrap();
    let (mut here, mut there, mut other) = (source(&pair), destination(&pair), source(&pair));
    let guest = Guest::in_folder(&pair.own_of(Side::Source), 10).unwrap();
    enlarge(&guest);
    here.create(&HERE, &guest.seen_in(&pair.own()).xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    room(&pair, &guest);
    let how = Migration { bandwidth: Some(1), ..with_disks(pair.destination.uri()) };
    let failure = std::thread::scope(|scope| {
        let moving = scope.spawn(|| here.migrate(&HERE, &guest.name, &how).unwrap_err());
        // What arrives is there, paused, from the time that the disk is being copied.
        until("the arrival", || Ok(state(&mut there, &guest).ok())).unwrap();
        until("the end", || {
            other.abort_job(&HERE, &guest.name).unwrap();
            Ok(moving.is_finished().then_some(()))
        })
        .unwrap();
        moving.join().unwrap()
    });
    assert_eq!(failure.kind, FailureKind::Failed, "{failure}");
    assert_eq!(state(&mut here, &guest), Ok(State::Running));
    assert_eq!(state(&mut there, &guest), Err(FailureKind::NotFound));
}

#[test]
fn the_deadline_ends_it() {
    let pair = Pair::start().unwrap();
    let mut here = source(&pair);
    let guest = Guest::in_folder(&pair.own_of(Side::Source), 11).unwrap();
    enlarge(&guest);
    here.create(&HERE, &guest.seen_in(&pair.own()).xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    room(&pair, &guest);
    for peer_to_peer in [false, true] {
        let how = Migration { peer_to_peer, bandwidth: Some(1), ..with_disks(pair.destination.uri()) };
        let mut hurried = towards(&pair, pair.destination.uri(), Duration::from_secs(8));
        let failure = hurried.migrate(&HERE, &guest.name, &how).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
        assert!(failure.message.contains("given up"), "{failure}");
        assert_eq!(state(&mut here, &guest), Ok(State::Running));
    }
}

#[test]
fn a_slow_one_is_suspended_so_that_it_arrives() {
    let pair = Pair::start().unwrap();
    let (mut here, mut there, mut other) = (source(&pair), destination(&pair), source(&pair));
    for (id, peer_to_peer) in [(13, false), (14, true)] {
        let guest = on_shared_storage(&pair, &mut here, id);
        let how =
            Migration { suspend_after: Some(1), bandwidth: Some(1), peer_to_peer, ..shared(pair.destination.uri()) };
        std::thread::scope(|scope| {
            let moving = scope.spawn(|| here.migrate(&HERE, &guest.name, &how));
            until("the pause", || Ok((state(&mut other, &guest) == Ok(State::Paused)).then_some(()))).unwrap();
            moving.join().unwrap().unwrap();
        });
        assert_eq!(state(&mut here, &guest), Err(FailureKind::NotFound));
        end(&mut there, &guest);
    }
    // Given up, it runs where it was. It may arrive before that: what was left of it is little.
    let given_up = (15..25).any(|id| {
        let guest = on_shared_storage(&pair, &mut here, id);
        let how = Migration { suspend_after: Some(1), bandwidth: Some(1), ..shared(pair.destination.uri()) };
        let moved = std::thread::scope(|scope| {
            let moving = scope.spawn(|| here.migrate(&HERE, &guest.name, &how));
            let seen = until("the pause", || match state(&mut other, &guest) {
                Ok(State::Paused) => Ok(Some(true)),
                Err(FailureKind::NotFound) => Ok(Some(false)),
                _ => Ok(None),
            });
            if seen.unwrap() {
                // Where there is none any more, it has arrived.
                let _ = other.abort_job(&HERE, &guest.name);
            }
            moving.join().unwrap()
        });
        match moved {
            Ok(()) => {
                assert_eq!(state(&mut here, &guest), Err(FailureKind::NotFound));
                end(&mut there, &guest);
                false
            }
            Err(failure) => {
                assert_eq!(failure.kind, FailureKind::Failed, "{failure}");
                assert_eq!(state(&mut here, &guest), Ok(State::Running));
                true
            }
        }
    });
    assert!(given_up, "ten machines arrived before they could be given up");
}

/// The connection is lost at a call of the migration: whatever became of it, it is `unknown` here, and one of
/// the two has the guest. (libvirt leaves it paused at the source where it cannot know either.)
fn lost(through: impl Fn(&Pair, &Path) -> (Proxy, bool), procedure: u32, how: impl Fn(&Proxy, u32)) {
    let pair = Pair::start().unwrap();
    let (proxy, at_source) = through(&pair, &pair.storage().join("proxy"));
    let mut here = source(&pair);
    let guest = on_shared_storage(&pair, &mut here, 12);
    let target = if at_source { pair.destination.uri().to_owned() } else { proxy.uri() };
    let mut moving = match at_source {
        false => towards(&pair, &target, HOUR),
        true => {
            let mut policy = policy(&proxy.uri(), pair.storage());
            let targets = [target.as_str(), Pair::MIGRATE_URI].map(|uri| Pattern(uri.to_owned()));
            policy.libvirt.as_mut().unwrap().migration_targets = targets.into();
            Session::new(&proxy.uri(), &Hello::new(policy, HOUR))
        }
    };
    how(&proxy, procedure);
    let failure = moving.migrate(&HERE, &guest.name, &shared(&target)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unknown, "{failure}");
    assert!(failure.message.contains("both hosts"), "{failure}");
    assert!(proxy.calls(procedure) == 1, "it was not tried twice");
    // The session goes on: what comes next connects anew.
    let mut there = destination(&pair);
    until("one that has it", || {
        let (here, there) = (state(&mut moving, &guest), state(&mut there, &guest));
        let running = [&here, &there].map(|state| *state == Ok(State::Running));
        assert_ne!(running, [true, true], "two of one guest on one disk");
        Ok((here.is_ok() || there == Ok(State::Running)).then_some(()))
    })
    .unwrap();
}

#[test]
fn a_lost_source_leaves_it_open() {
    let source = |pair: &Pair, socket: &Path| (Proxy::start(&pair.source.socket(), socket), true);
    lost(source, MIGRATE_PERFORM3_PARAMS, Proxy::cut_at);
}

#[test]
fn a_lost_destination_leaves_it_open() {
    let destination = |pair: &Pair, socket: &Path| (Proxy::start(&pair.destination.socket(), socket), false);
    lost(destination, MIGRATE_FINISH3_PARAMS, Proxy::cut_at);
}

/// The daemon is there and says nothing: half a minute of asking for a sign of life in vain.
#[test]
fn a_silent_destination_is_a_lost_one() {
    let destination = |pair: &Pair, socket: &Path| (Proxy::start(&pair.destination.socket(), socket), false);
    lost(destination, MIGRATE_FINISH3_PARAMS, Proxy::silence_at);
}

#[test]
fn a_destination_that_is_killed_leaves_it_open() {
    let pair = Pair::start().unwrap();
    let mut here = source(&pair);
    let guest = Guest::in_folder(&pair.own_of(Side::Source), 13).unwrap();
    enlarge(&guest);
    here.create(&HERE, &guest.seen_in(&pair.own()).xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    room(&pair, &guest);
    let how = Migration { bandwidth: Some(1), ..with_disks(pair.destination.uri()) };
    let killed = |destination: &PrivateLibvirt, there: &mut Session| {
        until("the arrival", || Ok(state(there, &guest).ok())).unwrap();
        destination.kill_daemon().unwrap();
    };
    let failure = std::thread::scope(|scope| {
        let moving = scope.spawn(|| here.migrate(&HERE, &guest.name, &how).unwrap_err());
        killed(&pair.destination, &mut destination(&pair));
        let mut other = source(&pair);
        until("the end", || {
            // The hypervisors go on talking; the source would wait for the disk.
            let _ = other.abort_job(&HERE, &guest.name);
            Ok(moving.is_finished().then_some(()))
        })
        .unwrap();
        moving.join().unwrap()
    });
    assert_eq!(failure.kind, FailureKind::Unknown, "{failure}");
    assert_eq!(state(&mut here, &guest), Ok(State::Running));
}

//! `kill -9` at every effect of every action: before it is carried out, while it is, and when it has
//! been but nobody knows. The action again, or its undo, ends in the right state.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::process::Command;

use remotes_integration::processes::until_none_names;
use remotes_integration::scene::{arguments, file, stdin};
use remotes_integration::{Outcome, Scene};
use remotes_test_support::Guest;

/// Exit code of a process that was ended by SIGKILL.
const KILLED: i32 = 128 + 9;

/// Effects that take QEMU its time, so that they can be interrupted in their middle.
const LONG: [&str; 5] = ["libvirt.create", "libvirt.save", "libvirt.restore", "libvirt.shutdown", "libvirt.destroy"];

struct Interruptions {
    scene: Scene,
    guest: Guest,
    kills: usize,
}

impl Interruptions {
    fn new() -> Self {
        let scene = Scene::new();
        let guest = scene.guest(7);
        Self { scene, guest, kills: 0 }
    }

    /// Runs the action until it is killed there. Returns the effect's name; none where it ended before.
    fn interrupt(&mut self, action: &str, moment: &str, effect: usize) -> Option<String> {
        self.scene.forget_journal();
        let mut command = Command::new(env!("CARGO_BIN_EXE_interrupted"));
        command.args([self.scene.tree.text(), &format!("vmm/kvm/{action}"), moment, &effect.to_string()]);
        command.args(arguments(action, &self.guest));
        self.scene.environment(&mut command);
        let outcome = Outcome::of(&mut command, &stdin(action, &self.guest));
        if outcome.code != KILLED {
            assert_eq!(outcome.code, 0, "{action} {moment} {effect}: {outcome:?}");
            return None;
        }
        self.kills += 1;
        // It was asked for and has no answer.
        let last = self.scene.journal().pop().unwrap();
        assert_eq!(last["effect"].as_u64(), Some(effect as u64), "{last}");
        assert!(!last["asked"].is_null(), "{last}");
        last["name"].as_str().map(str::to_owned)
    }

    /// Kills the action everywhere, each time from the state that `before` makes, and lets `after` see
    /// to it that all can be as it should.
    fn everywhere(&mut self, action: &str, before: impl Fn(&Scene, &Guest), after: impl Fn(&Scene, &Guest, &str)) {
        let mut effects = 0;
        while let Some(name) = self.kill_and_mend(action, "before", effects + 1, &before, &after) {
            effects += 1;
            if LONG.contains(&name.as_str()) {
                self.kill_and_mend(action, "within", effects, &before, &after).unwrap();
            }
            self.kill_and_mend(action, "after", effects, &before, &after).unwrap();
        }
        after(&self.scene, &self.guest, &format!("{action}, not killed"));
        println!("{action}: {} kills at {effects} effects", self.kills);
        assert!(effects > 0 && self.kills >= 2 * effects);
        assert_eq!(self.scene.domains(), Vec::<String>::new());
        until_none_names(&self.guest.folder.display().to_string());
    }

    fn kill_and_mend(
        &mut self,
        action: &str,
        moment: &str,
        effect: usize,
        before: impl Fn(&Scene, &Guest),
        after: impl Fn(&Scene, &Guest, &str),
    ) -> Option<String> {
        before(&self.scene, &self.guest);
        let files = names(&self.guest);
        let name = self.interrupt(action, moment, effect)?;
        let place = format!("{action}, killed {moment} effect {effect}, {name}");
        after(&self.scene, &self.guest, &place);
        self.scene.until_quiet();
        let left: Vec<_> = names(&self.guest).into_iter().filter(|name| !files.contains(name)).collect();
        assert!(left.iter().all(|name| name == "deployment.0"), "{place}: left {left:?}");
        Some(name)
    }
}

/// What is in the machine's folder.
fn names(guest: &Guest) -> Vec<String> {
    let entries = fs::read_dir(&guest.folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn nothing(_: &Scene, _: &Guest) {}

/// A machine that runs and hears its power button.
fn up(scene: &Scene, guest: &Guest) {
    if scene.state(guest).is_none() {
        fs::write(&guest.console, "").unwrap();
        scene.does("deploy", guest);
        guest.wait_up(1).unwrap();
    }
}

fn saved(scene: &Scene, guest: &Guest) {
    up(scene, guest);
    scene.does("save", guest);
}

fn runs(scene: &Scene, guest: &Guest, place: &str) {
    assert_eq!(scene.state(guest).as_deref(), Some("running"), "{place}");
}

fn gone(scene: &Scene, guest: &Guest, place: &str) {
    assert_eq!(scene.state(guest), None, "{place}");
}

fn checkpoint(guest: &Guest) -> Option<u64> {
    fs::metadata(file(guest, "checkpoint")).ok().map(|metadata| metadata.len())
}

/// Ends what runs, as oned undoes a deploy.
fn undo(scene: &Scene, guest: &Guest, place: &str) {
    scene.does("cancel", guest);
    gone(scene, guest, place);
}

#[test]
fn deploy_can_be_repeated() {
    Interruptions::new().everywhere("deploy", nothing, |scene, guest, place| {
        let again = scene.act("deploy", guest);
        if again.code != 0 {
            // It runs already, or is about to: oned undoes it, and may then deploy anew.
            again.failed(255);
            undo(scene, guest, place);
            scene.does("deploy", guest);
        }
        runs(scene, guest, place);
        undo(scene, guest, place);
    });
}

#[test]
fn deploy_can_be_undone() {
    Interruptions::new().everywhere("deploy", nothing, |scene, guest, place| {
        // What was on its way to libvirt when the action was killed is let finish.
        scene.until_quiet();
        undo(scene, guest, place);
    });
}

#[test]
fn save_can_be_repeated() {
    Interruptions::new().everywhere("save", up, |scene, guest, place| {
        scene.until_quiet();
        let was_saved = scene.state(guest).is_none();
        let again = scene.act("save", guest);
        match was_saved {
            // Saved is saved: the repeat must not touch the only checkpoint there is.
            true => assert!(again.failed(1).says("not running"), "{place}: {again:?}"),
            false => drop(again.succeeded("")),
        }
        gone(scene, guest, place);
        assert!(checkpoint(guest).is_some_and(|size| size > 0), "{place}");
        scene.does("restore", guest);
        runs(scene, guest, place);
        if place.contains("not killed") {
            undo(scene, guest, place);
        }
    });
}

#[test]
fn restore_can_be_repeated() {
    Interruptions::new().everywhere("restore", saved, |scene, guest, place| {
        scene.until_quiet();
        scene.does("restore", guest);
        runs(scene, guest, place);
        assert_eq!(checkpoint(guest), None, "{place}");
        if place.contains("not killed") {
            undo(scene, guest, place);
        }
    });
}

#[test]
fn the_others_can_be_repeated() {
    for action in ["reboot", "reset"] {
        Interruptions::new().everywhere(action, up, |scene, guest, place| {
            let starts = guest.starts().unwrap();
            scene.does(action, guest);
            guest.wait_up(starts + 1).unwrap();
            runs(scene, guest, place);
            if place.contains("not killed") {
                undo(scene, guest, place);
            }
        });
    }
}

#[test]
fn shutdown_can_be_repeated() {
    Interruptions::new().everywhere("shutdown", up, |scene, guest, place| {
        scene.does("shutdown", guest);
        gone(scene, guest, place);
    });
}

#[test]
fn cancel_can_be_repeated() {
    Interruptions::new().everywhere("cancel", |scene, guest| scene.does("deploy", guest), undo);
}

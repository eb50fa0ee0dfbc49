//! `kill -9` at every effect of an action on a real machine.

use std::fs;
use std::process::Command;

use remotes_test_support::Guest;

use crate::scene::{arguments, stdin};
use crate::{Outcome, Scene};

/// Exit code of a process that was ended by SIGKILL.
const KILLED: i32 = 128 + 9;

/// Effects that take QEMU its time, so that they can be interrupted in their middle.
const LONG: [&str; 9] = [
    "libvirt.create",
    "libvirt.save",
    "libvirt.restore",
    "libvirt.shutdown",
    "libvirt.destroy",
    "libvirt.unplug-device",
    "libvirt.snapshot-create",
    "libvirt.snapshot-revert",
    "libvirt.snapshot-delete",
];

/// A machine whose actions are killed.
pub struct Interruptions {
    program: &'static str,
    /// where it is
    pub scene: Scene,
    /// the machine
    pub guest: Guest,
    kills: usize,
}

impl Interruptions {
    /// A machine that does not run yet. `program` is the action that kills itself.
    pub fn new(program: &'static str) -> Self {
        let scene = Scene::new();
        let guest = scene.guest(7);
        Self { program, scene, guest, kills: 0 }
    }

    /// A machine that runs, with what there is to be plugged.
    pub fn equipped(program: &'static str) -> Self {
        let scene = Scene::new();
        let guest = scene.equipped(7);
        Self { program, scene, guest, kills: 0 }
    }

    /// Runs the action until it is killed there. Returns the effect's name; none where it ended before.
    fn interrupt(&mut self, action: &str, moment: &str, effect: usize) -> Option<String> {
        self.scene.forget_journal();
        let mut command = Command::new(self.program);
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
    pub fn everywhere(&mut self, action: &str, before: impl Fn(&Scene, &Guest), after: impl Fn(&Scene, &Guest, &str)) {
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
        self.scene.destroy(&self.guest);
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

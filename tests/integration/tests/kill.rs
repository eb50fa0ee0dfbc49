//! `kill -9` at every effect of every action: before it is carried out, while it is, and when it has
//! been but nobody knows. The action again, or its undo, ends in the right state.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use remotes_integration::scene::file;
use remotes_integration::{Interruptions, Scene};
use remotes_test_support::Guest;

const PROGRAM: &str = env!("CARGO_BIN_EXE_interrupted");

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
    Interruptions::new(PROGRAM).everywhere("deploy", nothing, |scene, guest, place| {
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
    Interruptions::new(PROGRAM).everywhere("deploy", nothing, |scene, guest, place| {
        // What was on its way to libvirt when the action was killed is let finish.
        scene.until_quiet();
        undo(scene, guest, place);
    });
}

#[test]
fn save_can_be_repeated() {
    Interruptions::new(PROGRAM).everywhere("save", up, |scene, guest, place| {
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
    Interruptions::new(PROGRAM).everywhere("restore", saved, |scene, guest, place| {
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
        Interruptions::new(PROGRAM).everywhere(action, up, |scene, guest, place| {
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
    Interruptions::new(PROGRAM).everywhere("shutdown", up, |scene, guest, place| {
        scene.does("shutdown", guest);
        gone(scene, guest, place);
    });
}

#[test]
fn cancel_can_be_repeated() {
    Interruptions::new(PROGRAM).everywhere("cancel", |scene, guest| scene.does("deploy", guest), undo);
}

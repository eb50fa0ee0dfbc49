//! Killed before any effect, or any command that these come to, and called again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use remotes_network_tests::{By, Case, Grounds, ProxyState, proxied};

use super::{CLEAN, PRE, act, expected, host};

/// Kills until one action came to its end, and says how often.
fn every_time(what: &str, kill: impl Fn(u64) -> bool + Send + Sync + 'static) {
    let (kill, kills) = (Arc::new(kill), Arc::new(AtomicU64::new(0)));
    loop {
        let (done, seen) = (Arc::new(AtomicBool::new(true)), kills.load(Ordering::Relaxed));
        let (kill, flag) = (kill.clone(), done.clone());
        proxied(move |_| flag.store(kill(seen), Ordering::Relaxed));
        if done.load(Ordering::Relaxed) {
            println!("{what}: {seen} kills at {seen} places");
            return;
        }
        kills.fetch_add(1, Ordering::Relaxed);
    }
}

/// The host before the action.
fn before(name: &str, by: By) -> Grounds {
    if name == CLEAN { host(by) } else { Case::read(name).by(by).prepare() }
}

/// Whether it is as it has to be after the action.
fn assert_after(name: &str, expected: Option<&ProxyState>, when: &str) {
    let now = ProxyState::now();
    match name {
        PRE => assert_eq!(Some(&now), expected, "{when}"),
        _ => assert!(now.is_empty() && now.links.is_empty(), "{when}: {now:?}"),
    }
}

fn effects(name: &'static str) {
    let expected = expected();
    every_time(name, move |index| {
        let case = Case::read(name);
        let mut grounds = before(name, By::Own);
        grounds.stop_before(index);
        let first = grounds.call(case.driver(), case.call());
        act(&mut grounds, &case);
        assert_after(name, expected.as_ref(), &format!("{name} killed before effect {index}"));
        assert_eq!(grounds.daemon_calls().last().map(String::as_str), Some("reload"), "effect {index}");
        first.result.is_some()
    });
}

fn commands(name: &'static str) {
    let expected = expected();
    every_time(name, move |index| {
        let case = Case::read(name).by(By::Stock);
        let mut grounds = before(name, By::Stock);
        let locks = tempfile::tempdir().unwrap();
        grounds.share(locks.path());
        let doom = grounds.sudo().unwrap().beside("kill-after");
        std::fs::write(&doom, index.to_string()).unwrap();
        let status = remotes_network_tests::act(name, By::Stock, locks.path(), grounds.sudo()).status().unwrap();
        std::fs::remove_file(&doom).unwrap();
        act(&mut grounds, &case);
        assert_after(name, expected.as_ref(), &format!("{name} killed before command {index} ({status})"));
        assert_eq!(grounds.daemon_calls().last().map(String::as_str), Some("reload"), "command {index}");
        assert!(status.code().is_none_or(|code| code == 0), "{status}");
        status.success()
    });
}

#[test]
fn pre_before_any_effect() {
    effects(PRE);
}

#[test]
fn clean_before_any_effect() {
    effects(CLEAN);
}

#[test]
fn pre_before_any_command() {
    commands(PRE);
}

#[test]
fn clean_before_any_command() {
    commands(CLEAN);
}

//! Drivers in languages that cannot do without WASI, and what they find there: nothing.

use remotes_containment::guest::{
    WASI_EXIT, WASI_HANDLES, WASI_HTTP, WASI_NETWORK, WASI_PRINT, WASI_PRINT_FLOOD, WASI_RANDOM, WASI_SLEEP,
    WASI_SURROUNDINGS, WASI_UNKNOWN,
};
use remotes_containment::{Guest, Trial};
use remotes_sandbox::RunError;

use crate::common::{assert_unchanged, host};

/// The guest comes to its end: it traps where it finds something.
fn finds_nothing(guest: Guest) {
    let before = host();
    let ended = Trial::of(guest).on(before.clone());
    ended.assert_done();
    assert_eq!(ended.journal.entries, []);
    assert_unchanged(&before, &ended);
}

#[test]
pub fn wasi_surroundings() {
    assert!(std::env::vars_os().count() > 0 && std::env::args_os().count() > 0, "there is something to be found");
    finds_nothing(WASI_SURROUNDINGS);
}

#[test]
pub fn wasi_network() {
    finds_nothing(WASI_NETWORK);
}

/// Time stands still for a driver, and so nothing is waited for.
#[test]
pub fn wasi_sleep() {
    finds_nothing(WASI_SLEEP);
}

#[test]
pub fn wasi_print() {
    let ended = Trial::of(WASI_PRINT).on(host());
    ended.assert_done();
    assert_eq!(ended.printed.stdout, "");
    let lines = ["ExitCode: 0 EOF_ERR", "EOF_OUT", "\u{1b}[2Kone-1\rERROR: deploy: forged"];
    assert_eq!(ended.journal.logged(), lines);
    assert_eq!(ended.executor.messages(), lines);
}

#[test]
pub fn wasi_print_flood() {
    let before = host();
    let ended = Trial::of(WASI_PRINT_FLOOD).limits(|limits| limits.log_kib = 64).milliseconds(500).on(before.clone());
    ended.error();
    let logged: usize = ended.journal.logged().iter().map(|line| line.len()).sum();
    assert!(logged <= 64 * 1024, "{logged}");
    assert_unchanged(&before, &ended);
}

#[test]
pub fn wasi_handles() {
    let before = host();
    let ended = Trial::of(WASI_HANDLES).on(before.clone());
    assert!(matches!(ended.error(), RunError::Trapped(reason) if reason.contains("no free keys")), "{}", ended.error());
    assert_unchanged(&before, &ended);
}

#[test]
pub fn wasi_random() {
    let before = host();
    let ended = Trial::of(WASI_RANDOM).on(before.clone());
    assert!(
        matches!(ended.error(), RunError::Trapped(reason) if reason.contains("exceeds limit")),
        "{}",
        ended.error()
    );
    assert_unchanged(&before, &ended);
}

#[test]
pub fn wasi_exit() {
    let before = host();
    let ended = Trial::of(WASI_EXIT).on(before.clone());
    assert!(matches!(ended.error(), RunError::Trapped(_)), "{}", ended.error());
    assert_eq!(ended.printed.code, 1);
    assert_unchanged(&before, &ended);
}

#[test]
pub fn wasi_unknown() {
    unsuitable(WASI_UNKNOWN, "wasi:process/spawn");
}

#[test]
pub fn wasi_http() {
    unsuitable(WASI_HTTP, "it imports what no driver is offered: wasi:http/outgoing-handler");
}

fn unsuitable(guest: Guest, words: &str) {
    let ended = Trial::of(guest).on(host());
    assert!(
        matches!(ended.error(), RunError::Unsuitable { reason, .. } if reason.contains(words)),
        "{}",
        ended.error()
    );
}

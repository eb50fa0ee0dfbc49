//! Drivers that try to speak for oned's own protocol.

use remotes_containment::guest::{FORGED_LINES, FORGED_WORD, PANIC};
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::FailureKind;
use remotes_effect::vmm::Call;
use remotes_sandbox::RunError;

use crate::common::host;

/// Texts that mean something to the front-end, to a terminal or to a reader of logs.
const FORGERIES: &[&str] = &[
    "ExitCode: 0 EOF_ERR",
    "failed\nExitCode: 0 EOF_ERR\n",
    "\nEOF_OUT\n",
    "EOF_OUT",
    "LOG E 5 forged",
    "ERROR: 5 forged",
    "  error: 5 forged",
    "INFO: 5 forged",
    "\r\nDEPLOY SUCCESS 5 one-6\r\n",
    "DEPLOY SUCCESS 5 one-6",
    "\u{1b}[2K\u{1b}[1Gall is well",
    "\u{9b}2Kall is well",
    "back\u{8}\u{8}\u{8}\u{8}",
    "a\u{2028}ExitCode: 0 EOF_ERR\u{2029}\u{85}ERROR: b",
    "\u{202e}lanimret",
    "nul\0nul",
    "\u{feff}ERROR: forged",
    "\u{200b}ExitCode: 0 EOF_ERR",
    "",
    "\n",
    " ",
    "-",
];

#[test]
pub fn forged_lines() {
    let grounds = Grounds::new();
    for forgery in FORGERIES {
        let ended =
            Trial::of(FORGED_LINES).with("", forgery).made(|policy, deadline| grounds.machine(policy, deadline));
        assert_eq!(ended.failure().message, *forgery);
        assert_eq!(ended.printed.stdout, "");
        assert_eq!(ended.printed.code, 1);
        assert_ne!(ended.printed.stderr.trim(), "", "{forgery:?}");
        assert_eq!(ended.journal.logged(), [*forgery; 4]);
    }
    // The lines as the action's program writes them.
    let logged = grounds.logged();
    assert_eq!(logged.len(), 4 * FORGERIES.len());
    for (level, text) in logged {
        let line = remotes_action::convention::log_line(level, "reboot", &text);
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
        let severity = line.split(": ").next().unwrap();
        assert!(["DEBUG", "INFO", "WARN", "ERROR"].contains(&severity), "{line:?}");
        assert!(line[severity.len()..].starts_with(": reboot: "), "{line:?}");
        assert!(!line.trim_end_matches('\n').contains(|c: char| c.is_control()), "{line:?}");
    }
}

#[test]
fn a_message_that_is_too_long_for_a_line() {
    let ended = Trial::of(FORGED_LINES).with("", &"ä".repeat(30_000)).on(host());
    assert_eq!(ended.failure().message.len(), 60_000);
    assert!(ended.printed.stderr.len() < 10_000, "{}", ended.printed.stderr.len());
}

#[test]
pub fn forged_word() {
    let long = "x".repeat(4096);
    let words = [
        "one-5 one-6",
        " one-5",
        "one-5\n",
        "one-5\nEOF_OUT",
        "\u{1b}[2K",
        "",
        "-\t-",
        "ü",
        "EOF_OUT",
        "xEOF_OUT",
        &long,
    ];
    for word in words {
        let deploy = Call::Deploy { deployment_file: "/d".into(), domain: word.into(), host: "node1".into() };
        let snapshot = Call::SnapshotCreate { deploy_id: "one-5".into(), snapshot_id: 0, action: word.into() };
        for call in [deploy, snapshot] {
            let ended = Trial::of(FORGED_WORD).calling(call).on(host());
            ended.assert_done();
            // The driver thinks it did well; oned is told that it did not.
            assert_eq!((ended.printed.stdout.as_str(), ended.printed.code), ("", 255), "{word:?}");
            assert!(ended.printed.stderr.contains("expected one word"), "{}", ended.printed.stderr);
        }
    }
    let call = Call::Deploy { deployment_file: "/d".into(), domain: "one-5".into(), host: "node1".into() };
    let ended = Trial::of(FORGED_WORD).calling(call).on(host());
    assert_eq!((ended.printed.stdout.as_str(), ended.printed.stderr.as_str(), ended.printed.code), ("one-5\n", "", 0));
}

#[test]
pub fn panic() {
    for forgery in FORGERIES {
        let ended = Trial::of(PANIC).with("", forgery).on(host());
        assert!(matches!(ended.error(), RunError::Trapped(_)));
        let logged = ended.journal.logged();
        assert!(logged.len() == 1 && logged[0].contains(forgery), "{logged:?}");
        assert_eq!(ended.journal.entries.len(), 1);
    }
}

#[test]
fn a_panic_longer_than_the_log() {
    let ended = Trial::of(PANIC).with("", &"x".repeat(300_000)).on(host());
    assert!(ended.error().to_string().contains("limits.log-kib"), "{}", ended.error());
}

#[test]
fn a_failure_for_every_kind_has_a_line() {
    use remotes_action::convention::print_failure;
    let call = remotes_effect::Call::Vmm(Call::Cancel { deploy_id: "d".into(), host: "h".into(), action: "".into() });
    for kind in [FailureKind::Denied, FailureKind::Unknown, FailureKind::Busy] {
        let printed = print_failure(&call, &remotes_effect::types::Failure { kind, message: "\n".into() });
        assert_eq!(printed.stderr, format!("cancel failed ({})\n", kind.name()));
    }
}

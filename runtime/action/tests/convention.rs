//! The calling convention to the byte.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use remotes_action::convention::{self, ConventionError, Printed, failure_line, log_line};
use remotes_action::tree::Identity;
use remotes_effect::log::Level;
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::{Call, Reply, vmm};

fn call(action: &str, argv: &[&str], stdin: &str) -> Result<vmm::Call, ConventionError> {
    let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
    convention::call("vmm", action, &argv, stdin.as_bytes()).map(|call| match call {
        Call::Vmm(call) => call,
        other => panic!("{other:?}"),
    })
}

#[test]
fn deploy_takes_the_description_from_standard_input() {
    let argv = ["/var/lib/one//datastores/0/23/deployment.0", "node7", "23", "node7"];
    let expected =
        vmm::Call::Deploy { deployment_file: argv[0].into(), domain: "<domain/>\n".into(), host: "node7".into() };
    assert_eq!(call("deploy", &argv, "<domain/>\n"), Ok(expected));
}

#[test]
fn the_front_end_sends_documents_in_base64() {
    let encoded = STANDARD.encode("<VMM_DRIVER_ACTION_DATA/>");
    let Ok(vmm::Call::Reboot { action, .. }) = call("reboot", &["u", "h"], &encoded) else { panic!("reboot") };
    assert_eq!(action, "<VMM_DRIVER_ACTION_DATA/>");
}

#[test]
fn attach_disk_falls_back_to_its_fifth_argument() {
    let encoded = STANDARD.encode("<VMM_DRIVER_ACTION_DATA/>");
    let argv = ["u", "/d/disk.2", "vdb", "1", &encoded, "1", "h"];
    for (stdin, expected) in [("<A/>", "<A/>"), ("", "<VMM_DRIVER_ACTION_DATA/>"), (" \n", "<VMM_DRIVER_ACTION_DATA/>")]
    {
        let Ok(vmm::Call::AttachDisk { action, target_index: 1, .. }) = call("attach_disk", &argv, stdin) else {
            panic!("attach_disk")
        };
        assert_eq!(action, expected);
    }
}

#[test]
fn empty_arguments_keep_their_place() {
    let expected = vmm::Call::Prereconfigure { deploy_id: "u".into(), target: String::new(), action: String::new() };
    assert_eq!(call("prereconfigure", &["u", "", "1", "h"], ""), Ok(expected));
}

#[test]
fn exec_decodes_its_input() {
    let Ok(vmm::Call::Exec { stdin, command, .. }) = call("exec", &["9", "h", "ls /", "aGk="], "") else {
        panic!("exec")
    };
    assert_eq!((command.as_str(), stdin.as_slice()), ("ls /", &b"hi"[..]));
    let Ok(vmm::Call::Exec { stdin, .. }) = call("exec", &["9", "h", "ls /"], "") else { panic!("exec") };
    assert!(stdin.is_empty());
}

#[test]
fn unfit_arguments_say_how_it_is_called() {
    for (action, argv, says) in [
        ("deploy", &["f"][..], "DEPLOYMENT_FILE HOST"),
        ("save", &["u", "f", "h", "x"], "VMID"),
        ("exec", &["1", "h", "c", "*"], "base64"),
        ("resize_disk", &["u", "0", "-1"], "SIZE"),
        ("explode", &[], "no action"),
    ] {
        let message = call(action, argv, "").unwrap_err().to_string();
        assert!(message.contains(says), "{action}: {message}");
    }
    assert!(convention::call("vmm", "deploy", &["f".into(), "h".into()], &[0xff]).is_err());
}

/// oned puts what programs have said into its documents, escape sequences and half characters and all.
#[test]
fn a_document_is_made_readable_whatever_somebody_has_said() {
    let said = b"<VM><ERROR><![CDATA[\x1b[31mred\x1b[0m \xe2\x80]]></ERROR></VM>";
    let readable = "<VM><ERROR><![CDATA[\u{fffd}[31mred\u{fffd}[0m \u{fffd}]]></ERROR></VM>";
    let encoded = STANDARD.encode(said);
    let made = |action: &str, argv: &[&str], stdin: &[u8]| {
        let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
        format!("{:?}", convention::call("vmm", action, &argv, stdin).unwrap())
    };
    let expected = format!("{readable:?}");
    for (action, argv) in [
        ("cancel", &["u", "h"][..]),
        ("save", &["u", "f", "h", "7"]),
        ("restore", &["f", "h", "u", "7"]),
        ("attach_nic", &["u", "m", "b", "-", "d", "t"]),
        ("snapshot_create", &["u", "0"]),
        ("resize", &["u"]),
    ] {
        for stdin in [&said[..], encoded.as_bytes()] {
            let call = made(action, argv, stdin);
            assert!(call.contains(&expected), "{action}: {call}");
        }
    }
    let call = made("attach_disk", &["u", "/d/disk.2", "vdb", "1", &encoded, "1", "h"], b"");
    assert!(call.contains(&expected), "{call}");
    // A guest is not started from something else than what libvirt would have refused.
    assert!(convention::call("vmm", "deploy", &["f".into(), "h".into()], said).is_err());
}

#[test]
fn deploy_prints_one_word_and_nothing_else() {
    let deploy = call("deploy", &["f", "h"], "").unwrap();
    let printed =
        |word: &str| convention::print(&Call::Vmm(deploy.clone()), &Reply::Vmm(vmm::Reply::Deploy(Ok(word.into()))));
    assert_eq!(printed("0b0e-uuid"), Printed { stdout: "0b0e-uuid\n".into(), stderr: String::new(), code: 0 });
    for bad in ["", "two words", "line\nSUCCESS", "\u{1b}[31mred", "ünï"] {
        let printed = printed(bad);
        assert_eq!((printed.stdout.as_str(), printed.code), ("", 255), "{bad:?}");
    }
}

#[test]
fn exit_codes_are_those_of_the_stock_scripts() {
    let code = |action: &str, argv: &[&str], kind: FailureKind| {
        let call = Call::Vmm(call(action, argv, "").unwrap());
        convention::print_failure(&call, &Failure { kind, message: "m".into() }).code
    };
    assert_eq!(code("deploy", &["f", "h"], FailureKind::Failed), 255);
    assert_eq!(code("shutdown", &["u", "h"], FailureKind::Timeout), 255);
    assert_eq!(code("shutdown", &["u", "h"], FailureKind::Failed), 1);
    assert_eq!(code("reboot", &["u", "h"], FailureKind::NotFound), 1);
    assert_eq!(code("snapshot_create", &["u", "0"], FailureKind::Failed), 255);
}

#[test]
fn an_action_is_named_by_three_names() {
    assert_eq!("vmm/kvm/deploy".parse::<Identity>().unwrap().to_string(), "vmm/kvm/deploy");
    let paths =
        ["/vmm/kvm/deploy", "./vmm/kvm/deploy", "/var/tmp/one/vmm/kvm/deploy", "a/vmm/kvm/deploy", "vmm//kvm/a"];
    let others = ["", "deploy", "vmm/kvm/", "vmm/kvm", "vmm/../deploy", "vmm/k m/deploy", "vmm/-k/deploy"];
    for text in paths.into_iter().chain(others) {
        assert!(text.parse::<Identity>().is_err(), "{text:?}");
    }
}

proptest! {
    /// Whatever a driver says, oned reads whole lines, one a message, none of them its own marks.
    #[test]
    fn no_message_forges_the_protocol(message in "\\PC{0,60}|(ExitCode: 0 EOF_ERR|ERROR: x|\n|\r|\u{1b}|EOF_OUT| ){0,6}") {
        for line in [failure_line(&message), log_line(Level::Error, "deploy", &message)] {
            prop_assert!(line.ends_with('\n'));
            prop_assert_eq!(line.matches('\n').count(), 1);
            let inner = line.trim_end_matches('\n');
            prop_assert!(!inner.chars().any(char::is_control));
            prop_assert!(!inner.trim_start().starts_with("ExitCode:"));
        }
        prop_assert!(!failure_line(&message).starts_with("ERROR:"));
        prop_assert!(log_line(Level::Info, "save", &message).starts_with("INFO: save: "));
    }

    #[test]
    fn no_input_makes_the_convention_panic(
        action in prop::sample::select(remotes_effect::actions("vmm")),
        argv in prop::collection::vec("\\PC{0,12}", 0..8),
        stdin in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(call) = convention::call("vmm", action, &argv, &stdin) {
            prop_assert_eq!(call.action(), action);
        }
    }
}

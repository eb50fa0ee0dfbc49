//! The program: frames in, frames out, nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use remotes_effect::frame::{self, Hello, Ready};
use remotes_effect::policy::Pattern;
use remotes_effect::types::FailureKind;
use remotes_effect::{Answer, Effect, libvirt};
use remotes_test_support::wait_for;
use support::{HERE, node, policy};
use tempfile::tempdir;

fn start(uri: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_remotes-libvirt"))
        .arg(uri)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn greet(child: &mut Child, uri: &str, folder: &Path) -> BufReader<ChildStdout> {
    let hello = Hello::new(policy(uri, folder), Duration::from_secs(600));
    frame::write(child.stdin.as_mut().unwrap(), &hello).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    frame::read::<Ready>(&mut output).unwrap();
    output
}

fn ask(child: &mut Child, output: &mut BufReader<ChildStdout>, effect: libvirt::Effect) -> Answer {
    frame::write(child.stdin.as_mut().unwrap(), &Effect::Libvirt(effect)).unwrap();
    frame::read(output).unwrap()
}

#[test]
fn serves_until_the_client_goes_and_prints_nothing() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut child = start(&uri);
    let mut output = greet(&mut child, &uri, folder.path());
    let find = |domain: &str| libvirt::Effect::Find { on: HERE, domain: domain.to_owned() };
    let answer = ask(&mut child, &mut output, find("one-5"));
    assert_eq!(answer.failure().unwrap().kind, FailureKind::NotFound);
    let answer = ask(&mut child, &mut output, find("foreign"));
    assert_eq!(answer.failure().unwrap().kind, FailureKind::Denied);
    assert_eq!(
        ask(&mut child, &mut output, libvirt::Effect::Domains { on: HERE }),
        Answer::Libvirt(libvirt::Answer::Domains(Ok(vec![])))
    );
    drop(child.stdin.take());
    let rest = child.wait_with_output().unwrap();
    assert!(rest.status.success());
    assert_eq!(String::from_utf8(rest.stderr).unwrap(), "", "libvirt's own error printing is off");
}

#[test]
fn a_daemon_that_is_not_there_is_unavailable() {
    let folder = tempdir().unwrap();
    let uri = format!("qemu+unix:///system?socket={}/none", folder.path().display());
    let mut child = start(&uri);
    let mut output = greet(&mut child, &uri, folder.path());
    let answer = ask(&mut child, &mut output, libvirt::Effect::Domains { on: HERE });
    let failure = answer.failure().unwrap().clone();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    assert!(failure.message.contains(&uri) && failure.message.contains("Failed to connect socket"), "{failure}");
    drop(child.stdin.take());
    let rest = child.wait_with_output().unwrap();
    assert!(rest.status.success());
    assert_eq!(String::from_utf8(rest.stderr).unwrap(), "");
}

#[test]
fn the_event_loop_does_not_keep_it() {
    let folder = tempdir().unwrap();
    let mut child = start("test:///default");
    let mut granting = policy("test:///default", folder.path());
    granting.libvirt.as_mut().unwrap().domains = vec![Pattern("test".to_owned())];
    let hello = Hello::new(granting, Duration::from_secs(600));
    frame::write(child.stdin.as_mut().unwrap(), &hello).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    frame::read::<Ready>(&mut output).unwrap();
    for _ in 0..2 {
        let (domain, alias) = ("test".to_owned(), "net0".to_owned());
        let unplug = libvirt::Effect::UnplugDevice { on: HERE, domain, alias, seconds: 60 };
        let failure = ask(&mut child, &mut output, unplug).failure().unwrap().clone();
        assert_eq!(failure.kind, FailureKind::Unsupported, "the test driver has no unplugging: {failure}");
    }
    drop(child.stdin.take());
    let rest = child.wait_with_output().unwrap();
    assert!(rest.status.success(), "{:?}", rest.status);
    assert_eq!(String::from_utf8(rest.stderr).unwrap(), "");
}

#[test]
fn frames_that_are_none_end_it() {
    let mut child = start("test:///default");
    child.stdin.as_mut().unwrap().write_all(b"{\"contract\":1}\n").unwrap();
    let rest = child.wait_with_output().unwrap();
    assert_eq!(rest.status.code(), Some(1));
    assert!(rest.stdout.is_empty());
    assert!(String::from_utf8(rest.stderr).unwrap().ends_with('\n'));
}

#[test]
fn wrong_arguments_are_an_error_of_use() {
    for arguments in [&[][..], &["--help"], &["test:///default", "more"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_remotes-libvirt")).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

/// A daemon that accepts and never answers holds the server inside of libvirt.
#[test]
fn a_server_ends_with_its_client_while_libvirt_hangs() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("socket");
    let daemon = UnixListener::bind(&socket).unwrap();
    let uri = format!("qemu+unix:///system?socket={}", socket.display());
    let mut child = start(&uri);
    let output = greet(&mut child, &uri, folder.path());
    let mut input = child.stdin.take().unwrap();
    frame::write(&mut input, &Effect::Libvirt(libvirt::Effect::Domains { on: HERE })).unwrap();
    let (connection, _) = daemon.accept().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    // As the kernel does for a client that is killed.
    drop((input, output));
    wait_for("the server's end", || child.try_wait().unwrap().is_some());
    drop(connection);
}

#[test]
fn a_server_without_client_ends_after_the_deadline() {
    let mut child = start("test:///default");
    let mut hello = Hello::new(policy("test:///default", Path::new("/nowhere")), Duration::ZERO);
    hello.deadline_ms = 0;
    // Its input stays open: only the alarm ends it.
    let mut input = child.stdin.take().unwrap();
    frame::write(&mut input, &hello).unwrap();
    let status = child.wait().unwrap();
    drop(input);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(14), "SIGALRM");
}

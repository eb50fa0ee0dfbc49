//! The program itself: what it is told, and by whom it lets itself be told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use remotes_effect::frame::{self, Hello, Ready};
use remotes_effect::links::{self, Bridge};
use remotes_effect::policy::Policy;
use remotes_effect::{Answer, Effect, clock, log};
use tempfile::TempDir;

/// The program where root would have installed it; none where this is not root.
fn installed() -> Option<(TempDir, PathBuf)> {
    if !rustix::process::geteuid().is_root() {
        remotes_test_support::skipped("a program of root's needs root");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("remotes-net");
    std::fs::copy(env!("CARGO_BIN_EXE_remotes-net"), &program).unwrap();
    Some((folder, program))
}

/// In a network of its own, where nothing can be broken.
fn apart(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.arg("--net").arg(program);
    command
}

fn say(program: &Path, input: &[u8]) -> Output {
    let mut command = apart(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that has heard enough closes its ear.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn hello(policy: &str) -> Hello {
    let policy = Policy::parse(&format!("schema = 1\n{policy}"), Path::new("policy.toml")).unwrap();
    Hello::new(policy, Duration::from_secs(60))
}

fn lines(frames: &[String]) -> Vec<u8> {
    frames.iter().flat_map(|frame| format!("{frame}\n").into_bytes()).collect()
}

fn json(value: &impl serde::Serialize) -> String {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, value).unwrap();
    String::from_utf8(bytes).unwrap().trim_end().to_owned()
}

#[test]
fn what_is_no_frame_ends_it_without_an_effect() {
    let Some((_folder, program)) = installed() else { return };
    let greeting = json(&hello("[links]\nbridges = [\"**\"]\n"));
    let make =
        json(&Effect::Links(links::Effect::MakeBridge { bridge: Bridge { name: "docker0".into(), settings: vec![] } }));
    for input in [
        Vec::new(),
        b"\n".to_vec(),
        b"{}\n".to_vec(),
        b"\xff\xfe\n".to_vec(),
        lines(std::slice::from_ref(&make)),
        lines(&[greeting.replace("\"contract\":\"1", "\"contract\":\"9"), make.clone()]),
        lines(&[greeting.clone(), "{\"links\":{\"make-bridge\":{}}}".into()]),
        lines(&[greeting.clone(), "[".repeat(100_000)]),
        lines(std::slice::from_ref(&greeting))[..20].to_vec(),
    ] {
        let output = say(&program, &input);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() && !stdout.contains("Ok"),
            "{:?}: {output:?}",
            String::from_utf8_lossy(&input)
        );
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("remotes-net: ") && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn arguments_are_none_of_its_business() {
    let Some((_folder, program)) = installed() else { return };
    for arguments in [["--bounds", "/tmp/x"], ["serve", ""]] {
        let output = apart(&program).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_copy_that_others_can_write_does_not_serve() {
    let Some((folder, program)) = installed() else { return };
    let greeting = lines(&[json(&hello(""))]);
    assert!(say(&program, &greeting).status.success());
    let refused = |program: &Path, why: &str| {
        let output = say(program, &greeting);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty() && stderr.contains(why), "{why}: {output:?}");
    };
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o775)).unwrap();
    refused(&program, "others can write it");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // As in a remotes tree, which belongs to oneadmin.
    std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
    refused(&program, "it belongs to uid 65534");
    std::os::unix::fs::chown(folder.path(), Some(0), None).unwrap();
    std::os::unix::fs::chown(&program, Some(65534), None).unwrap();
    refused(&program, "it belongs to uid 65534");
    std::os::unix::fs::chown(&program, Some(0), None).unwrap();
    // Through a link, it is where it really lies that counts.
    let tree = tempfile::tempdir().unwrap();
    std::fs::set_permissions(tree.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::copy(&program, tree.path().join("remotes-net")).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(tree.path().join("remotes-net"), &link).unwrap();
    refused(&link, "others can write it");
}

#[test]
fn effects_are_answered_in_turn_until_the_client_goes() {
    let Some((_folder, program)) = installed() else { return };
    let mut child = apart(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    frame::write(&mut input, &hello("[links]\nbridges = [\"**\"]\n")).unwrap();
    let Ready { .. } = frame::read(&mut output).unwrap();
    let mut ask = |effect: Effect| -> Answer {
        frame::write(&mut input, &effect).unwrap();
        frame::read(&mut output).unwrap()
    };
    let make = |name: &str| {
        Effect::Links(links::Effect::MakeBridge { bridge: Bridge { name: name.into(), settings: vec![] } })
    };
    assert_eq!(ask(make("onebr7")), Answer::Links(links::Answer::MakeBridge(Ok(true))));
    assert_eq!(ask(make("onebr7")), Answer::Links(links::Answer::MakeBridge(Ok(false))));
    assert!(ask(make("docker0")).failure().unwrap().message.contains("root's bounds"));
    // What cannot fail and is none of its business harms nobody.
    assert!(matches!(
        ask(Effect::Clock(clock::Effect::Sleep { milliseconds: 1000 })),
        Answer::Clock(clock::Answer::Sleep(false))
    ));
    let level = log::Level::Error;
    assert!(matches!(ask(Effect::Log(log::Effect::Write { level, message: "x".into() })), Answer::Log(_)));
    drop(input);
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    assert_eq!(output.read_line(&mut rest).unwrap(), 0);
}

#[test]
fn a_client_that_stays_too_long_is_left() {
    let Some((_folder, program)) = installed() else { return };
    let greetings = [Vec::new(), lines(&[json(&Hello { deadline_ms: 1, ..hello("") })])];
    let clients = greetings.map(|greeting| {
        let mut command = apart(&program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&greeting).unwrap();
        (child, input)
    });
    for (child, _input) in clients {
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "remotes-net: the client's time is over\n");
    }
}

#[test]
fn visudo_takes_the_rule() {
    let template = include_str!("../../../share/sudoers.d/remotes-net");
    let rule = template.replace("@libexecdir@", "/usr/local/libexec");
    assert!(rule.contains("NOPASSWD: /usr/local/libexec/remotes-net \"\"\n"), "arguments are allowed: {rule}");
    if !Path::new("/usr/sbin/visudo").is_file() {
        return remotes_test_support::skipped("sudo is not installed; scripts/setup does that");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("remotes-net");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Command::new("/usr/sbin/visudo").args(["-c", "-f"]).arg(&file).output().unwrap()
    };
    let output = check(&rule);
    assert!(output.status.success(), "{output:?}");
    assert!(!check(template).status.success(), "visudo does not look");
}

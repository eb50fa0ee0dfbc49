//! Programs, other hosts and settings that a driver must not get.

use remotes_containment::guest::{OTHER_HOSTS, SETTINGS, TOOL};
use remotes_containment::{Ended, Grounds, Trial};
use remotes_effect::types::FailureKind;
use remotes_effect::vmm::Call;
use remotes_host::Machine;

use crate::common::{LIBVIRT, assert_refused};

/// A tool that shows what it was given, and leaves a mark when it runs.
const SHOW: &str = "#!/bin/sh\necho ran >> \"$0.ran\"\nprintf '[%s]' \"$@\"\nenv | sort\n";

/// Runs a tool by what its policy says about arguments, on grounds of its own.
fn run(arguments: &str, given: &str) -> (Grounds, Ended<Machine>) {
    let grounds = Grounds::new();
    grounds.program("tree/bin/show", SHOW);
    let grant = format!("[tools.show]\npath = \"$REMOTES/bin/show\"\narguments = {arguments}\n");
    let trial = Trial::of(TOOL).granting(&grant).with("show", given);
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    (grounds, ended)
}

#[test]
pub fn tool() {
    for (arguments, given) in [
        ("[]", "anything"),
        ("[[]]", "anything"),
        ("[[\"info\", \"*\"]]", "info"),
        ("[[\"info\", \"*\"]]", "info\na\nb"),
        ("[[\"info\", \"*\"]]", "commit\na"),
        ("[[\"info\", \"*\"]]", "info\n/etc/passwd"),
        ("[[\"info\", \"/var/lib/one/*\"]]", "info\n/var/lib/one/../../../etc/passwd"),
        ("[[\"info\", \"/var/lib/one/**\"]]", "info\n/var/lib/one/0/../../../../etc/passwd"),
        ("[[\"info\", \"/var/lib/one/**\", \"...\"]]", "info\n-oProxyCommand=id\nx"),
        ("[[\"info\", \"...\"]]", "--help"),
    ] {
        let (grounds, ended) = run(arguments, given);
        assert_eq!(ended.failure().kind, FailureKind::Denied, "{arguments} {given}");
        assert_refused(&ended, "tools.run", FailureKind::Denied, "under [tools.show]");
        assert!(!grounds.path("tree/bin/show.ran").exists(), "{arguments} {given}: it ran");
    }
}

/// Arguments that the kernel does not take, to a tool that takes anything.
#[test]
fn arguments_that_cannot_be() {
    for given in ["nul\0nul".to_owned(), "x".repeat(1 << 20), "xxxxxxxxxxxxxxx\n".repeat(150_000)] {
        let (grounds, ended) = run("[[\"...\"]]", &given);
        assert!(matches!(ended.failure().kind, FailureKind::Failed | FailureKind::Invalid), "{:?}", ended.failure());
        assert!(ended.failure().message.len() < 1000);
        assert!(!grounds.path("tree/bin/show.ran").exists(), "it ran");
    }
}

#[test]
fn tools_that_are_not_granted() {
    let grounds = Grounds::new();
    grounds.program("tree/bin/show", SHOW);
    let before = grounds.snapshot();
    for tool in ["sh", "/bin/sh", "../bin/show", "show", "", "show\0", "$REMOTES/bin/show", "tree/bin/show"] {
        let trial = Trial::of(TOOL)
            .granting("[tools.other]\npath = \"/bin/true\"\narguments = [[\"...\"]]\n")
            .with(tool, "-c\nid");
        let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
        assert_refused(&ended, "tools.run", FailureKind::Denied, "not among the granted tools");
    }
    assert_eq!(grounds.snapshot(), before);
}

/// There is no shell between driver and tool, and nothing of the runtime's environment.
#[test]
fn arguments_reach_a_tool_as_they_are() {
    let given = [
        "$(touch x)",
        "`id`",
        "; id",
        "| id",
        "&& id",
        "> /tmp/x",
        "*",
        "~",
        "a b",
        "'",
        "\"",
        "\\",
        "$HOME",
        "-x",
        "--",
        "@file",
        "!!",
    ];
    let (_, ended) = run("[[\"...\"]]", &given.join("\n"));
    ended.assert_done();
    let logged = ended.journal.logged().join("\n");
    let shown: String = given.iter().map(|argument| format!("[{argument}]")).collect();
    assert!(logged.contains(&shown), "{logged}");
    let environment: Vec<_> =
        logged.split(']').next_back().unwrap().lines().filter_map(|line| line.split('=').next()).collect();
    for name in &environment {
        assert!(["", "LANG", "LC_ALL", "PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(name), "{environment:?}");
    }
}

#[test]
fn a_tool_that_others_could_have_written() {
    use std::os::unix::fs::PermissionsExt as _;
    for (path, mode) in [("tree/bin/show", 0o777), ("tree/bin/show", 0o775), ("tree/bin", 0o777)] {
        let grounds = Grounds::new();
        grounds.program("tree/bin/show", SHOW);
        std::fs::set_permissions(grounds.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
        let before = grounds.snapshot();
        let grant = "[tools.show]\npath = \"$REMOTES/bin/show\"\narguments = [[]]\n";
        let ended =
            Trial::of(TOOL).granting(grant).with("show", "").made(|policy, deadline| grounds.machine(policy, deadline));
        assert_refused(&ended, "tools.run", FailureKind::Failed, "it is not run");
        assert_eq!(grounds.snapshot(), before);
    }
}

#[test]
fn a_tool_that_prints_without_end() {
    for text in ["#!/bin/sh\nexec yes\n", "#!/bin/sh\nexec yes >&2\n"] {
        let grounds = Grounds::new();
        grounds.program("tree/bin/show", text);
        let grant = "[tools.show]\npath = \"$REMOTES/bin/show\"\narguments = [[]]\n";
        let ended =
            Trial::of(TOOL).granting(grant).with("show", "").made(|policy, deadline| grounds.machine(policy, deadline));
        assert_refused(&ended, "tools.run", FailureKind::Failed, "limits.tool-output-kib");
    }
}

#[test]
pub fn other_hosts() {
    let grounds = Grounds::new();
    let before = grounds.snapshot();
    let hosts = [
        "elsewhere",
        "node",
        "node11",
        "-oProxyCommand=touch /tmp/x",
        "root@node1",
        "node1 -p 23",
        "node1;id",
        "",
        "127.0.0.1",
    ];
    let grants = format!(
        "hosts = [\"node1\"]\n{LIBVIRT}[tools.true]\npath = \"/bin/true\"\narguments = [[]]\n{}",
        grounds.paths()
    );
    let call =
        Call::Reboot { deploy_id: "one-5".into(), host: grounds.at("granted/10/disk.0"), action: hosts.join("\n") };
    let ended = Trial::of(OTHER_HOSTS)
        .granting(&grants)
        .calling(call)
        .made(|policy, deadline| grounds.machine(policy, deadline));
    ended.assert_done();
    for effect in ["filesystem.read", "filesystem.copy", "tools.run", "libvirt.destroy"] {
        assert_refused(&ended, effect, FailureKind::Denied, "`hosts` in the driver's policy");
    }
    assert_eq!(grounds.snapshot(), before);
}

/// Granted by a pattern that is too wide: what ssh would take for an option or a shell for a command is
/// refused all the same.
#[test]
fn names_of_hosts_that_are_none() {
    let grounds = Grounds::new();
    let hosts = ["-oProxyCommand=touch /tmp/x", "root@node1", "node1 -p 23", "node1;id", "$(id)", ""];
    let grants = format!("hosts = [\"**\"]\n[tools.true]\npath = \"/bin/true\"\narguments = [[]]\n{}", grounds.paths());
    let call =
        Call::Reboot { deploy_id: "one-5".into(), host: grounds.at("granted/10/disk.0"), action: hosts.join("\n") };
    let ended = Trial::of(OTHER_HOSTS)
        .granting(&grants)
        .calling(call)
        .made(|policy, deadline| grounds.machine(policy, deadline));
    ended.assert_done();
    assert_refused(&ended, "tools.run", FailureKind::Invalid, "is no name of a host");
    // Between two hosts nothing is copied, whatever is granted.
    assert_refused(&ended, "filesystem.copy", FailureKind::Invalid, "on the same node");
}

#[test]
pub fn settings() {
    let grounds = Grounds::new();
    std::fs::write(grounds.path("tree/etc/vmm/kvm/kvmrc"), "QEMU_PROTOCOL=qemu+ssh\n").unwrap();
    std::fs::write(grounds.path("tree/etc/vmm/kvm/secret"), "PASSWORD=opennebula\n").unwrap();
    let before = grounds.snapshot();
    let keys = [
        "PASSWORD",
        "PATH",
        "HOME",
        "LD_PRELOAD",
        "../secret",
        "PASSWORD\nQEMU_PROTOCOL",
        "QEMU_PROTOCOL=x",
        "",
        "*",
        "$PATH",
        "qemu_protocol",
    ];
    let trial = Trial::of(SETTINGS).granting("configuration = [\"vmm/kvm/kvmrc\"]\n").with("", &keys.join("\u{1f}"));
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    ended.assert_done();
    assert_eq!(ended.journal.logged(), [""; 11]);
    let trial = Trial::of(SETTINGS).with("", "QEMU_PROTOCOL");
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    assert_eq!(ended.journal.logged(), [""], "no file is granted");
    assert_eq!(grounds.snapshot(), before);
}

/// A file that is there and cannot be read is a failure, not a setting that is absent.
#[test]
fn configuration_files_that_are_none() {
    type Make = fn(&std::path::Path);
    let makes: [Make; 5] = [
        |path| std::fs::create_dir(path).unwrap(),
        |path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap()
        },
        |path| std::fs::write(path, vec![b'#'; 2 << 20]).unwrap(),
        |path| std::os::unix::fs::symlink("kvmrc", path).unwrap(),
        |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
    ];
    for (number, make) in makes.into_iter().enumerate() {
        let grounds = Grounds::new();
        make(&grounds.path("tree/etc/vmm/kvm/kvmrc"));
        let before = grounds.snapshot();
        let trial = Trial::of(SETTINGS).granting("configuration = [\"vmm/kvm/kvmrc\"]\n").with("", "FORCE_DESTROY");
        let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
        ended.assert_done();
        assert_eq!(ended.journal.failures("configuration.get").len(), 1, "{number}");
        assert_eq!(grounds.snapshot(), before);
    }
}

/// Shell syntax in a configuration file is text: nothing of it is run.
#[test]
fn a_configuration_file_with_commands_in_it() {
    let grounds = Grounds::new();
    let mark = grounds.at("granted/ran");
    let text =
        format!("A=$(touch {mark})\nB=`touch {mark}`\ntouch {mark}\nC=x; touch {mark}\nexport D=\"$(touch {mark})\"\n");
    std::fs::write(grounds.path("tree/etc/vmm/kvm/kvmrc"), text).unwrap();
    let before = grounds.snapshot();
    let trial =
        Trial::of(SETTINGS).granting("configuration = [\"vmm/kvm/kvmrc\"]\n").with("", "A\u{1f}B\u{1f}C\u{1f}D");
    trial.made(|policy, deadline| grounds.machine(policy, deadline)).assert_done();
    assert_eq!(grounds.snapshot(), before);
}

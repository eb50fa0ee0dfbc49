//! A policy file: what is taken means what it says, and grants nothing that it does not name.

use std::path::Path;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::Policy;
use remotes_effect::types::{FailureKind, Node, Place};
use remotes_effect::{Effect, filesystem, libvirt, locks, tools};

/// Words of it.
pub const WORDS: &[&str] = &[
    "schema = 1\n",
    "schema = 2\n",
    "[libvirt]\n",
    "uris = [\"**\"]\n",
    "domains = [\"*\"]\n",
    "[paths]\n",
    "\"/\" = \"rw\"\n",
    "\"/etc\" = \"ro\"\n",
    "\"/proc/../etc\" = \"rw\"\n",
    "\"//\" = \"ro\"\n",
    "\"etc\" = \"rw\"\n",
    "[tools.x]\n",
    "sudo = true\n",
    "path = \"/bin/sh\"\n",
    "arguments = [[\"...\"]]\n",
    "hosts = [\"*\"]\n",
    "locks = [\"*\"]\n",
    "hooks = [\"pre\"]\n",
    "configuration = [\"../x\"]\n",
    "journal = \"x\"\n",
    "[limits]\n",
    "memory-mib = 0\n",
    "stack-kib = 18446744073709551615\n",
    "action-seconds = { migrate = 9223372036854775807 }\n",
    "time-seconds = -1\n",
    "effects = 0\n",
    "[iptables]\n",
    "[links]\n",
    "networks = [\"0.0.0.0/0\"]\n",
    "chains = [\"**\"]\n",
    "{a,b}",
    "[!a]",
    "**",
    "*",
    "?",
    "\\",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "=",
    ".",
    "\n",
    "9223372036854775807",
    "1e400",
    "inf",
    "true",
    "1979-05-27",
    "[[",
    "]]",
    "{",
    "}",
    ",",
];

/// Each probe is granted by a line for it, or not at all.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let policy = match Policy::parse(text, Path::new("policy.toml")) {
        Ok(policy) => policy,
        Err(error) => return assert!(error.to_string().starts_with("policy policy.toml: ")),
    };
    assert_eq!(policy.schema, 1);
    let again = toml::to_string(&policy).unwrap();
    assert_eq!(Policy::parse(&again, Path::new("again")).unwrap(), policy, "{again}");
    files(&policy);
    others(&policy);
    let actions = policy.limits.action_seconds.keys().map(String::as_str).chain(["reboot"]);
    for action in actions {
        let _ = Deadline::after(policy.limits.time(action)).left();
    }
    assert!(policy.limits.memory_mib > 0 && policy.limits.stack_kib > 0);
}

fn files(policy: &Policy) {
    for path in ["/etc/shadow", "/proc/self/mem", "/var/lib/one/datastores/100/5/disk.0", "/var/lib/one", "/x", "/"] {
        let at = || Place { on: Node::Here, path: path.to_owned() };
        let read = policy.check(&Effect::Filesystem(filesystem::Effect::Read { at: at() }));
        let write = Effect::Filesystem(filesystem::Effect::Write { at: at(), content: Vec::new(), mode: 0o644 });
        // The innermost folder that holds it, by another way than the policy's.
        let holds = |folder: &str| {
            let folder: Vec<_> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            let mut path = path.split('/').filter(|part| !part.is_empty());
            folder.iter().all(|part| path.next() == Some(*part)).then_some(folder.len())
        };
        let held = policy.paths.0.iter().filter_map(|(folder, access)| Some((holds(folder)?, access.name())));
        let depth = held.clone().map(|(depth, _)| depth).max();
        let accesses: Vec<_> = held.filter(|(length, _)| Some(*length) == depth).map(|(_, access)| access).collect();
        assert_eq!(read.is_ok(), depth.is_some(), "{path}: {read:?}");
        assert!(depth != Some(0), "the root folder is granted");
        assert!(policy.check(&write).is_err() || accesses.contains(&"rw"), "{path}: written");
        assert!(read.err().is_none_or(|failure| failure.kind == FailureKind::Denied));
    }
}

fn others(policy: &Policy) {
    let destroy = |on: Node| Effect::Libvirt(libvirt::Effect::Destroy { on, domain: "one-5".into() });
    let granted = policy.libvirt.as_ref().is_some_and(|grant| !grant.domains.is_empty());
    assert!(policy.check(&destroy(Node::Here)).is_err() || granted);
    let elsewhere = policy.check(&destroy(Node::Host("elsewhere".into())));
    assert!(elsewhere.is_err() || granted && !policy.hosts.is_empty());
    for tool in ["x", "sh", "sysctl"] {
        let run = tools::Effect::Run { on: Node::Here, tool: tool.into(), arguments: vec!["-c".into()], stdin: vec![] };
        let named = policy.tools.get(tool).is_some_and(|grant| !grant.arguments.is_empty());
        assert!(policy.check(&Effect::Tools(run)).is_err() || named, "{tool}");
    }
    let name = || "vnmmad::br0".to_owned();
    for lock in [locks::Effect::Acquire { name: name() }, locks::Effect::TryAcquire { name: name() }] {
        assert!(policy.check(&Effect::Locks(lock)).is_err() || !policy.locks.is_empty());
    }
}

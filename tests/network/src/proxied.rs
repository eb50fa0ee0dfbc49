//! A host with transparent proxies: names of namespaces of a test's own, OpenNebula's programs in the remotes
//! tree, or what stands in for them, and an `nft` that this kernel can do.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use serde_json::Value;

use crate::{State, isolated, sh, skipped, without_carrier};

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";
const NFT: &str = "/usr/sbin/nft";

/// Stands in for the daemon: it writes down how it was called.
const DAEMON: &str = "#!/bin/sh\necho \"$*\" >>\"${0%/*}/tproxy-calls\"\n";

/// Does what OpenNebula's program of this name does.
const ENTER: &str = "#!/bin/sh\nexec ip netns exec \"${NETNS:?names the namespace}\" \"$@\"\n";

/// Runs a test in a network namespace of its own, with names of namespaces of its own.
pub fn proxied(test: impl FnOnce(&Nft) + Send + 'static) {
    if !Path::new(NFT).is_file() {
        return skipped("nft is not installed; `make setup` does it");
    }
    isolated(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let none: Option<&str> = None;
        nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
        std::fs::create_dir_all(NAMES).unwrap();
        nix::mount::mount(Some("tmpfs"), NAMES, Some("tmpfs"), MsFlags::empty(), none).expect("a folder of its own");
        test(&Nft::watched());
    });
}

/// Whether this kernel can tell packets of one bridge from those of another (`meta ibrname`).
fn knows_bridges() -> bool {
    let script = "add table bridge probe; add chain bridge probe c; add rule bridge probe c meta ibrname br0 drop";
    let probe = format!("echo '{script}' | nft -c -f - 2>/dev/null && echo yes || true");
    sh(&probe).trim() == "yes"
}

/// An `nft` in the place of the system's, as this thread sees it: it writes down what it is told, and does it. On
/// a kernel that knows no bridges by name, rules are for all of them.
pub struct Nft {
    folder: tempfile::TempDir,
    is_whole: bool,
}

impl Nft {
    fn watched() -> Self {
        let nft = Self { folder: tempfile::tempdir().unwrap(), is_whole: knows_bridges() };
        let (real, script) = (nft.folder.path().join("real"), nft.folder.path().join("nft"));
        let leave_out = if nft.is_whole { "" } else { "s/meta ibrname \"[^\"]*\" //" };
        std::fs::copy(NFT, &real).unwrap();
        executable(
            &script,
            &format!(
                "#!/bin/sh\ncase \"$*\" in\n-f-)\n  tee -a {told} | sed '{leave_out}' | {real} -f- ;;\n*) exec {real} \"$@\" ;;\nesac\n",
                told = nft.told_file().display(),
                real = real.display()
            ),
        );
        nix::mount::mount(Some(&script), NFT, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("another nft");
        nft
    }

    fn told_file(&self) -> PathBuf {
        self.folder.path().join("told")
    }

    /// Whether all of what it is told is done.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Lets the system's own be seen again.
    pub fn step_aside(&self) {
        nix::mount::umount(NFT).expect("the system's nft");
    }

    /// Lines that it was told.
    pub fn told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.told_file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn executable(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts the stand-ins into the folder of OpenNebula's network programs.
pub fn install_stand_ins(scripts: &Path) {
    executable(&scripts.join("tproxy"), DAEMON);
    executable(&scripts.join("ip_netns_exec"), ENTER);
}

/// How the stand-in beside this was called.
pub fn daemon_calls(scripts: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(scripts.join("tproxy-calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What there is of transparent proxies, with the links around.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyState {
    /// links outside of namespaces
    pub links: BTreeMap<String, Value>,
    /// links, addresses, routes and ARP settings by namespace
    pub namespaces: BTreeMap<String, String>,
    /// tables of `nft` without the others'
    pub rules: String,
}

impl ProxyState {
    /// The state of the thread's host.
    pub fn now() -> Self {
        let names = sh("ip netns list | sed 's/ .*//'");
        let inside = |name: &str| {
            let (name, text) = (
                name.to_owned(),
                sh(&format!(
                    "ip netns exec {name} sh -c 'ip -o link | sed \"s/^[0-9]*: //; s/@[^:]*:/:/; s/ qdisc.*//\"; \
                 ip -4 -o address | sed \"s/^[0-9]*: //\"; ip route; cat /proc/sys/net/ipv4/conf/all/arp_ignore'"
                )),
            );
            (name, without_carrier(&text))
        };
        Self {
            links: State::now().links,
            namespaces: names.lines().map(inside).collect(),
            rules: sh("for family in bridge ip; do nft list table $family one_tproxy 2>/dev/null || true; done"),
        }
    }

    /// Without tables that have nothing in them.
    pub fn is_empty(&self) -> bool {
        let has_more = |line: &str| !line.starts_with("table ") && line.trim() != "}" && !line.trim().is_empty();
        self.namespaces.is_empty() && !self.rules.lines().any(has_more)
    }
}

/// Gives the commands of a recorded case that concern links, namespaces and rules, as `commands.txt` has them.
pub fn by_hand(commands: &str) {
    let lines: Vec<&str> = commands.lines().collect();
    let script_from = |first: usize| {
        let script = lines[first..].iter().map_while(|line| line.strip_prefix("  | "));
        script.map(|line| format!("{line}\n")).collect::<String>()
    };
    for (number, line) in lines.iter().enumerate() {
        let Some(command) = line.strip_prefix("sudo ") else { continue };
        // Questions, the answers to which were made up.
        if ["ip link show ", "ip netns pids "].iter().any(|question| command.starts_with(question)) {
            continue;
        }
        if command.starts_with("nft ") {
            sh(&format!("{command} <<'EOF'\n{}EOF", script_from(number + 1)));
        } else if let Some(rest) = command.strip_prefix("NETNS=") {
            let (namespace, rest) = rest.split_once(' ').unwrap();
            sh(&format!(
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin ip netns exec {namespace} {}",
                rest.split_once(' ').unwrap().1
            ));
        } else if command.starts_with("ip ") {
            sh(command);
        }
    }
}

/// What a recorded case told `nft`.
pub fn recorded_script(commands: &str) -> Vec<String> {
    commands.lines().filter_map(|line| line.strip_prefix("  | ")).map(str::to_owned).collect()
}

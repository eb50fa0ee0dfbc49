//! By which way an action changes the network: with the rights of this process, through root's effect server,
//! or a command at a time as the stock sudoers rules allow. Decided once an action, by the first change.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use remotes_effect::deadline::Deadline;
use remotes_effect::log::Level;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect};
use remotes_network::iptables::bridged;
use remotes_network::links::others;
use remotes_network::privileged::Privileged;
use remotes_network::{needs_rights, perform};
use remotes_process::report::shown;
use remotes_process::{bare, system_program};

use crate::connection::Connection;

/// Where root's effect server is installed. Never in a remotes tree, which the runtime's user can write.
const SERVERS: [&str; 2] = ["/usr/libexec/remotes-net", "/usr/local/libexec/remotes-net"];

/// What there is to choose from.
#[derive(Debug, Clone)]
pub struct Ways {
    own: bool,
    sudo: Option<PathBuf>,
    servers: Vec<PathBuf>,
}

impl Ways {
    /// What this process and this host have.
    pub fn of_host() -> Self {
        Self { own: has_rights(), sudo: system_program("sudo"), servers: SERVERS.map(PathBuf::from).to_vec() }
    }

    /// Only by this `sudo`: through the first of these servers that it starts, otherwise a command at a time.
    pub fn by_sudo(sudo: PathBuf, servers: Vec<PathBuf>) -> Self {
        Self { own: false, sudo: Some(sudo), servers }
    }
}

/// `CAP_NET_ADMIN`
const NET_ADMIN: u64 = 1 << 12;

/// Whether this process, and programs that it starts, may change the network.
fn has_rights() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = |set: &str| {
        let bits = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(':'));
        bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & NET_ADMIN != 0)
    };
    // Root's programs get its capabilities, others' only those that are meant to be passed on.
    has("CapEff") && (rustix::process::geteuid().is_root() || has("CapAmb"))
}

enum Way {
    Direct(Privileged),
    Server(Box<Connection>),
}

/// The network of this host, for one action.
pub struct Network {
    ways: Option<Ways>,
    policy: Arc<Policy>,
    scripts: PathBuf,
    deadline: Deadline,
    way: Option<Way>,
    /// what the way costs, until it was told
    cost: Option<String>,
    /// whether it was told that rules are not met
    told: bool,
}

impl Network {
    /// Chooses nothing yet; `ways` instead of what there is. `tree` is the remotes tree.
    pub fn new(policy: Arc<Policy>, tree: &Path, deadline: Deadline, ways: Option<Ways>) -> Self {
        Self { ways, policy, scripts: tree.join("vnm"), deadline, way: None, cost: None, told: false }
    }

    /// Carries out an effect on the network. `turns` is the folder of the lock between changes of the packet
    /// filter; `tell` is told once what the way that was chosen costs, when something is changed by it, and once when
    /// rules were made that no packet meets.
    pub fn call(
        &mut self,
        effect: &Effect,
        turns: &Path,
        tell: &mut dyn FnMut(Level, &str),
    ) -> Result<Answer, Failure> {
        others::check(effect, &self.policy)?;
        // What needs no rights needs no way.
        if !needs_rights(effect) {
            return self.directly(effect, &Privileged::own(self.deadline), turns);
        }
        let way = match &mut self.way {
            Some(way) => way,
            none => {
                let ways = self.ways.take();
                none.insert(choose(ways, &self.policy, &self.scripts, self.deadline, &mut self.cost)?)
            }
        };
        if effect.changes()
            && let Some(cost) = self.cost.take()
        {
            tell(Level::Info, &cost);
        }
        let answer = match way {
            Way::Server(connection) => connection.call(effect),
            Way::Direct(privileged) => {
                let privileged = privileged.clone();
                self.directly(effect, &privileged, turns)
            }
        }?;
        if !self.told
            && answer.failure().is_none()
            && let Some(unmet) = bridged::unmet(effect)
        {
            tell(Level::Warning, &unmet);
            self.told = true;
        }
        Ok(answer)
    }

    fn directly(&self, effect: &Effect, privileged: &Privileged, turns: &Path) -> Result<Answer, Failure> {
        let named = || self.policy.tproxy.as_ref()?.program.as_ref();
        let proxy_daemon = || Ok(named().map_or_else(|| self.scripts.join("tproxy"), PathBuf::from));
        perform(effect, privileged, turns, proxy_daemon)
            .ok_or_else(|| Failure::unsupported(format!("{}: is no effect on the network", effect.name())))
    }
}

fn choose(
    ways: Option<Ways>,
    policy: &Arc<Policy>,
    scripts: &Path,
    deadline: Deadline,
    cost: &mut Option<String>,
) -> Result<Way, Failure> {
    let Ways { own, sudo, servers } = ways.unwrap_or_else(Ways::of_host);
    if own {
        return Ok(Way::Direct(Privileged::own(deadline)));
    }
    let sudo = sudo.ok_or_else(|| {
        Failure::unavailable(
            "changing the network needs root, and sudo is not installed on this host; install it, with the rules \
             that come with OpenNebula"
                .to_owned(),
        )
    })?;
    let mut reason = "root's effect server remotes-net is not installed".to_owned();
    if let Some(server) = servers.iter().find(|server| server.is_file()) {
        let mut connection = Connection::new(name(server), command(&sudo, server), policy.clone(), deadline);
        match connection.open() {
            Ok(()) => return Ok(Way::Server(Box::new(connection))),
            Err(error) => reason = format!("sudo does not start {}: {error}", shown(server)),
        }
    }
    *cost = Some(format!(
        "{reason}; rules and links are changed by one command each, which is slower (share/doc/remotes/adoption.md)"
    ));
    Ok(Way::Direct(Privileged::by_sudo(sudo, scripts.to_owned(), deadline)))
}

fn name(server: &Path) -> String {
    format!("root's effect server {}", shown(server))
}

/// No argument but the program: the line in sudoers allows none.
fn command(sudo: &Path, server: &Path) -> Command {
    let mut command = bare(sudo);
    command.arg("-n").arg("--").arg(server);
    command
}

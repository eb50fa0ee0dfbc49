//! Transparent proxies by `ip` and `nft`, and OpenNebula's daemon. What the kernel can
//! make at once is made at once: the port with its other end where that belongs, all rules and endpoints. Each
//! step looks at what is there, so that the next one comes to the same after any of them was the last.

mod namespace;
mod resolve;

use std::path::{Path, PathBuf};

use remotes_effect::links::Link;
use remotes_effect::network::{names, proxies};
use remotes_effect::tools::Outcome;
use remotes_effect::tproxy::{Endpoint, Executor};
use remotes_effect::types::{Failure, FailureKind};
use remotes_process::report::shown;
use remotes_process::system_program;
use rustix::fs::Access;

use super::links::look;
use super::privileged::{Privileged, failure};
use super::turn;

/// The executor of `tproxy`. `D` says where the daemon's program is; it is asked only where that is needed.
pub struct Tproxy<'a, D> {
    privileged: Privileged,
    turns: &'a Path,
    daemon: D,
}

impl<'a, D: Fn() -> Result<PathBuf, Failure>> Tproxy<'a, D> {
    /// By these rights; `turns` is the folder of the lock that OpenNebula's own drivers take for this as well.
    pub fn new(privileged: Privileged, turns: &'a Path, daemon: D) -> Self {
        Self { privileged, turns, daemon }
    }

    /// Waits for the turn, which also the programs hold that are started in it.
    fn in_turn(&self) -> Result<Privileged, Failure> {
        let turn = turn::take_for_proxies(self.turns, self.privileged.deadline())?;
        Ok(self.privileged.holding(turn))
    }

    fn daemon(&self) -> Result<PathBuf, Failure> {
        let program = (self.daemon)()?;
        match program.is_file() && rustix::fs::access(&program, Access::EXEC_OK).is_ok() {
            true => Ok(program),
            false => Err(Failure::unavailable(format!(
                "{}: is no program; the daemon of transparent proxies, which comes with OpenNebula, is expected there: \
                 install it, or take `tproxy` out of OpenNebulaNetwork.conf",
                shown(&program)
            ))),
        }
    }

    /// That nothing is missing that shows only when half is made.
    fn equipped(&self) -> Result<PathBuf, Failure> {
        if system_program("nft").is_none() {
            return Err(Failure::unavailable(
                "nft: is not installed; transparent proxies need it, install it on this host".to_owned(),
            ));
        }
        self.privileged.can_enter_namespaces()?;
        self.daemon()
    }
}

fn find<'a>(links: &'a [Link], name: &str) -> Option<&'a Link> {
    links.iter().find(|link| link.name == name)
}

/// The bridge's port that leads to its proxy; a failure where another link has its name.
fn port<'a>(links: &'a [Link], bridge: &str) -> Result<Option<&'a Link>, Failure> {
    let name = proxies::port(bridge);
    let Some(link) = find(links, &name) else { return Ok(None) };
    let foreign = match link.master.as_deref() {
        Some(other) if other != bridge => format!("is a port of bridge {other}"),
        _ if link.kind != "veth" => format!("is of kind {:?}", link.kind),
        _ => return Ok(Some(link)),
    };
    Err(Failure::exists(format!(
        "link {name}: {foreign}, where the port of bridge {bridge} to its transparent proxy is expected; rename or \
         remove it"
    )))
}

/// Has the port, its other end in the namespace.
fn connect(privileged: &Privileged, links: &[Link], bridge: &str) -> Result<(), Failure> {
    let (outer, inner, namespace) = (proxies::port(bridge), proxies::inner(bridge), proxies::namespace(bridge));
    let ip = |arguments: &[&str], what: &str| privileged.must("ip", arguments, what).map(drop);
    if let Some(port) = port(links, bridge)? {
        match namespace::has_inner(privileged, bridge)? {
            // Its other end is where OpenNebula's own driver left it when it was killed, or in a namespace that
            // nobody can name any more.
            false => remove(privileged, &outer)?,
            true if port.master.is_some() && port.up => return Ok(()),
            true => {
                let what = format!("make {outer} a port of bridge {bridge}");
                return ip(&["link", "set", "dev", &outer, "master", bridge, "up"], &what);
            }
        }
    }
    // One change of the kernel's, so that nothing is ever half connected.
    let ends = ["type", "veth", "peer", "name", &inner, "netns", &namespace];
    ip(
        &[&["link", "add", "name", &outer, "master", bridge, "up"], &ends[..]].concat(),
        &format!("make {outer}, the port of bridge {bridge} to its transparent proxy"),
    )
}

/// Removes a link, unless it is gone.
fn remove(privileged: &Privileged, link: &str) -> Result<(), Failure> {
    match privileged.must("ip", &["link", "delete", link], &format!("remove link {link}")) {
        Err(failure) if failure.kind != FailureKind::NotFound => Err(failure),
        _ => Ok(()),
    }
}

fn nft(privileged: &Privileged, script: &str, what: &str) -> Result<(), Failure> {
    let outcome = privileged.run("nft", &["-f-"], script.as_bytes())?;
    if outcome.status == 0 { Ok(()) } else { Err(refused(what, &outcome)) }
}

/// Why `nft` did not do it. It says so first, and then shows where, with the place underlined.
fn refused(what: &str, outcome: &Outcome) -> Failure {
    let text = String::from_utf8_lossy(&outcome.stderr);
    let said = text.lines().find_map(|line| line.split_once("Error: ")).map_or(&*text, |(_, said)| said);
    let failure = failure(what, &Outcome { status: outcome.status, stdout: Vec::new(), stderr: said.into() });
    match failure.kind {
        FailureKind::Unsupported => Failure {
            message: format!(
                "{}; the kernel needs nf_tables for bridges, with names of bridges (nft_meta_bridge)",
                failure.message
            ),
            ..failure
        },
        _ => failure,
    }
}

/// Has the daemon run, and read the endpoints anew; it ends by itself where there are none.
fn tell(privileged: &Privileged, daemon: &Path) -> Result<(), Failure> {
    for word in ["start", "reload"] {
        let outcome = privileged.run_daemon(daemon, word)?;
        if outcome.status != 0 {
            return Err(failure(&format!("{word} the daemon of transparent proxies ({})", shown(daemon)), &outcome));
        }
    }
    Ok(())
}

impl<D: Fn() -> Result<PathBuf, Failure>> Executor for Tproxy<'_, D> {
    fn resolve(&mut self, name: &str) -> Result<String, Failure> {
        resolve::resolve(name, self.privileged.deadline())
    }

    fn up(&mut self, bridge: &str, endpoints: &[Endpoint]) -> Result<(), Failure> {
        let script = proxies::up(bridge, endpoints)?;
        let daemon = self.equipped()?;
        let privileged = self.in_turn()?;
        let links = look::links()?;
        if find(&links, bridge).is_none_or(|link| link.kind != "bridge") {
            return Err(Failure::not_found(format!("bridge {bridge}: there is none to have a transparent proxy")));
        }
        port(&links, bridge)?;
        namespace::ensure(&privileged, bridge)?;
        connect(&privileged, &links, bridge)?;
        namespace::set_up(&privileged, bridge)?;
        nft(&privileged, &script, &format!("set the rules and endpoints of bridge {bridge}'s transparent proxy"))?;
        tell(&privileged, &daemon)
    }

    fn down(&mut self, bridge: &str, uplinks: &[String]) -> Result<bool, Failure> {
        let script = proxies::down(bridge)?;
        uplinks.iter().try_for_each(|uplink| names::link(uplink))?;
        let privileged = self.in_turn()?;
        let links = look::links()?;
        let own = proxies::port(bridge);
        let mut ports = links.iter().filter(|link| link.master.as_deref() == Some(bridge));
        if ports.any(|port| port.name != own && !uplinks.contains(&port.name)) {
            return Ok(false);
        }
        let port = port(&links, bridge)?;
        nft(&privileged, &script, &format!("remove the rules and endpoints of bridge {bridge}'s transparent proxy"))?;
        if let Some(port) = port {
            remove(&privileged, &port.name)?;
        }
        namespace::remove(&privileged, bridge)?;
        // What can be taken down without it has been; a daemon that cannot be told is an error all the same.
        tell(&privileged, &self.daemon()?)?;
        Ok(true)
    }
}

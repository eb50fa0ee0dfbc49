//! The decision: may this effect happen?

use super::pattern::{any, listed};
use super::{Access, Policy, beside};
use crate::network::names;
use crate::types::{Failure, Node, Place};
use crate::{Effect, filesystem, hooks, image, locks, tools, transfer};

impl Policy {
    /// Whether the effect is within the grants, as far as the effect itself shows. Executors ask for
    /// what shows only on the way: the name behind a UUID, the target of a link.
    pub fn check(&self, effect: &Effect) -> Result<(), Failure> {
        self.check_nodes(effect)?;
        match effect {
            Effect::Log(_) | Effect::Clock(_) | Effect::Configuration(_) => Ok(()),
            Effect::Filesystem(effect) => self.check_filesystem(effect),
            Effect::Image(effect) => self.check_image(effect),
            Effect::Transfer(transfer::Effect::Copy { source, target }) => {
                self.path(source, Access::ReadOnly)?;
                self.path(target, Access::ReadWrite)
            }
            Effect::Tools(effect) => self.check_tool(effect),
            Effect::Hooks(effect) => self.check_hook(effect),
            Effect::Locks(locks::Effect::Acquire { name } | locks::Effect::TryAcquire { name }) => {
                self.check_lock(name)
            }
            Effect::Iptables(iptables) => match &self.iptables {
                Some(grant) => grant.check(iptables),
                None => Err(Failure::denied(
                    "the driver's policy grants no packet filter; a table [iptables] would".to_owned(),
                )),
            },
            Effect::Links(links) => match &self.links {
                Some(grant) => grant.check(links),
                None => Err(Failure::denied("the driver's policy grants no links; a table [links] would".to_owned())),
            },
            Effect::Openvswitch(switch) => match &self.openvswitch {
                Some(grant) => grant.check(switch),
                None => Err(Failure::denied(
                    "the driver's policy grants no Open vSwitch; a table [openvswitch] would".to_owned(),
                )),
            },
            Effect::Sriov(functions) => match &self.sriov {
                Some(grant) => grant.check(functions),
                None => Err(Failure::denied(
                    "the driver's policy grants no virtual functions; a table [sriov] would".to_owned(),
                )),
            },
            Effect::Tproxy(proxies) => match &self.tproxy {
                Some(grant) => grant.check(proxies),
                None => Err(Failure::denied(
                    "the driver's policy grants no transparent proxies; a table [tproxy] would".to_owned(),
                )),
            },
            Effect::Libvirt(libvirt) => match &self.libvirt {
                Some(grant) => grant.check(libvirt, &self.paths),
                None => {
                    Err(Failure::denied("the driver's policy grants no hypervisor; a table [libvirt] would".to_owned()))
                }
            },
        }
        .map_err(|failure| Failure { message: format!("{}: {}", effect.name(), failure.message), ..failure })
    }

    fn check_nodes(&self, effect: &Effect) -> Result<(), Failure> {
        let nodes = effect.nodes();
        for node in &nodes {
            if let Node::Host(name) = node
                && !any(&self.hosts, name)
            {
                return Err(Failure::denied(format!(
                    "{} on host {name}: granted are {}; `hosts` in the driver's policy would allow it",
                    effect.name(),
                    listed(&self.hosts)
                )));
            }
        }
        match matches!(effect, Effect::Transfer(_)) || nodes.windows(2).all(|pair| pair[0] == pair[1]) {
            true => Ok(()),
            false => Err(Failure::invalid(format!("{}: both places must be on the same node", effect.name()))),
        }
    }

    fn path(&self, place: &Place, wanted: Access) -> Result<(), Failure> {
        self.paths.check(&place.path, wanted)
    }

    fn check_filesystem(&self, effect: &filesystem::Effect) -> Result<(), Failure> {
        use filesystem::Effect as E;
        match effect {
            E::Stat { at } | E::Entries { at } | E::Read { at } | E::ReadLink { at } => self.path(at, Access::ReadOnly),
            E::MakeDirectory { at, .. } if self.paths.0.contains_key(at.path.trim_end_matches('/')) => Ok(()),
            E::Write { at, .. }
            | E::MakeDirectory { at, .. }
            | E::SetMode { at, .. }
            | E::Remove { at, .. }
            | E::Unpack { at, .. } => self.path(at, Access::ReadWrite),
            E::Link { at, target } => {
                self.path(at, Access::ReadWrite)?;
                self.check_link(&at.path, target)
            }
            E::Rename { source, target } => {
                self.path(source, Access::ReadWrite)?;
                self.path(target, Access::ReadWrite)
            }
            E::Copy { source, target } => {
                self.path(source, Access::ReadOnly)?;
                self.path(target, Access::ReadWrite)
            }
        }
    }

    /// A link that others follow with more rights than this driver must not lead out of its grants.
    pub(crate) fn check_link(&self, at: &str, target: &str) -> Result<(), Failure> {
        self.paths.check(&beside(at, target).to_string_lossy(), Access::ReadWrite)
    }

    fn check_image(&self, effect: &image::Effect) -> Result<(), Failure> {
        use image::Effect as E;
        match effect {
            E::Inspect { at } => self.path(at, Access::ReadOnly),
            E::Create { at, based_on, .. } => {
                self.path(at, Access::ReadWrite)?;
                based_on.as_ref().map_or(Ok(()), |base| {
                    self.paths.check(&beside(&at.path, &base.path).to_string_lossy(), Access::ReadOnly)
                })
            }
            E::Convert { source, target, .. } => {
                self.path(source, Access::ReadOnly)?;
                self.path(target, Access::ReadWrite)
            }
        }
    }

    fn check_lock(&self, name: &str) -> Result<(), Failure> {
        names::lock(name)?;
        match any(&self.locks, name) {
            true => Ok(()),
            false => Err(Failure::denied(format!(
                "lock {name}: granted are {}; `locks` in the driver's policy would allow it",
                listed(&self.locks)
            ))),
        }
    }

    fn check_hook(&self, effect: &hooks::Effect) -> Result<(), Failure> {
        let action = match effect {
            hooks::Effect::Entries { action } => action,
            hooks::Effect::Run { action, name, arguments, .. } => {
                names::hook(name)?;
                if arguments.iter().any(|argument| argument.contains('\0')) {
                    return Err(Failure::invalid(format!("hook {name}: an argument has a NUL")));
                }
                action
            }
        };
        match self.hooks.contains(action) {
            true => Ok(()),
            false => {
                Err(Failure::denied(format!("hooks of {action:?}: `hooks` in the driver's policy would allow them")))
            }
        }
    }

    fn check_tool(&self, effect: &tools::Effect) -> Result<(), Failure> {
        match effect {
            // Whether a tool is granted is what this one asks: the executor answers no.
            tools::Effect::Available { .. } => Ok(()),
            tools::Effect::Run { tool, arguments, .. } => match self.tools.get(tool) {
                Some(grant) => grant.check(tool, arguments),
                None => Err(Failure::denied(format!(
                    "{tool}: not among the granted tools; a table [tools.{tool}] in the driver's policy would allow it"
                ))),
            },
        }
    }
}

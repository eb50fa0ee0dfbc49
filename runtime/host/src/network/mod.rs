//! The host's network: links, packet filter, Open vSwitch, the locks of its drivers and the operator's hooks.

pub mod hooks;
pub mod iptables;
pub mod links;
pub mod locks;
mod netlink;
pub mod openvswitch;
pub mod privileged;
pub mod sriov;
mod turn;
pub mod way;

use std::path::Path;

use remotes_effect::{Answer, Effect, iptables as filter, links as link, openvswitch as switch, sriov as function};

use self::iptables::Iptables;
use self::links::Links;
use self::openvswitch::OpenVswitch;
use self::privileged::Privileged;
use self::sriov::Sriov;

/// Carries out an effect on the network, with these rights; `turns` is the folder of the lock between changes
/// of the packet filter. None for effects on something else.
pub fn perform(effect: &Effect, privileged: &Privileged, turns: &Path) -> Option<Answer> {
    Some(match effect {
        Effect::Links(effect) => Answer::Links(link::Executor::execute(&mut Links::new(privileged.clone()), effect)),
        Effect::Iptables(effect) => {
            let mut executor = Iptables::new(privileged.clone(), turns.to_owned());
            Answer::Iptables(filter::Executor::execute(&mut executor, effect))
        }
        Effect::Openvswitch(effect) => {
            Answer::Openvswitch(switch::Executor::execute(&mut OpenVswitch::new(privileged.clone()), effect))
        }
        Effect::Sriov(effect) => {
            Answer::Sriov(function::Executor::execute(&mut Sriov::new(privileged.clone()), effect))
        }
        _ => return None,
    })
}

/// Whether the effect needs rights that not everybody has: to change something, to list rules and sets, or to
/// ask Open vSwitch.
pub fn needs_rights(effect: &Effect) -> bool {
    effect.changes() || matches!(effect, Effect::Openvswitch(_) | Effect::Iptables(_))
}

//! The executors of the host's network: links, packet filter, Open vSwitch, the locks of its drivers and the
//! operator's hooks. Apart from those of files and images, so that root's effect server has nothing of these in it.
#![forbid(unsafe_code)]

pub mod hooks;
pub mod iptables;
pub mod links;
pub mod locks;
mod netlink;
pub mod openvswitch;
pub mod privileged;
pub mod sriov;
pub mod tproxy;
mod turn;

use std::path::{Path, PathBuf};

use remotes_effect::types::Failure;
use remotes_effect::{
    Answer, Effect, iptables as filter, links as link, openvswitch as switch, sriov as function, tproxy as proxy,
};

use self::iptables::Iptables;
use self::links::Links;
use self::openvswitch::OpenVswitch;
use self::privileged::Privileged;
use self::sriov::Sriov;
use self::tproxy::Tproxy;

/// Carries out an effect on the network, with these rights; `turns` is the folder of the lock between changes
/// of the packet filter, and `proxy_daemon` says where the program is that serves transparent proxies. None for
/// effects on something else.
pub fn perform(
    effect: &Effect,
    privileged: &Privileged,
    turns: &Path,
    proxy_daemon: impl Fn() -> Result<PathBuf, Failure>,
) -> Option<Answer> {
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
        Effect::Tproxy(effect) => {
            let mut executor = Tproxy::new(privileged.clone(), turns, proxy_daemon);
            Answer::Tproxy(proxy::Executor::execute(&mut executor, effect))
        }
        _ => return None,
    })
}

/// Whether the effect needs rights that not everybody has: to change something, to list rules and sets, or to
/// ask Open vSwitch.
pub fn needs_rights(effect: &Effect) -> bool {
    effect.changes() || matches!(effect, Effect::Openvswitch(_) | Effect::Iptables(_))
}

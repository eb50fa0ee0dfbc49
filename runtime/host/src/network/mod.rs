//! The host's network: links, packet filter, the locks of its drivers and the operator's hooks.

pub mod hooks;
pub mod iptables;
pub mod links;
pub mod locks;
mod netlink;
pub mod privileged;
mod turn;
pub mod way;

use std::path::Path;

use remotes_effect::{Answer, Effect, iptables as filter, links as link};

use self::iptables::Iptables;
use self::links::Links;
use self::privileged::Privileged;

/// Carries out an effect on the network, with these rights; `turns` is the folder of the lock between changes
/// of the packet filter. None for effects on something else.
pub fn perform(effect: &Effect, privileged: &Privileged, turns: &Path) -> Option<Answer> {
    Some(match effect {
        Effect::Links(effect) => Answer::Links(link::Executor::execute(&mut Links::new(privileged.clone()), effect)),
        Effect::Iptables(effect) => {
            let mut executor = Iptables::new(privileged.clone(), turns.to_owned());
            Answer::Iptables(filter::Executor::execute(&mut executor, effect))
        }
        _ => return None,
    })
}

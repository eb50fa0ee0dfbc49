//! Effects on the network, and no others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, Executor};
use remotes_network::perform;
use remotes_network::privileged::Privileged;

use crate::Bounds;

/// Carries out what lies within root's bounds.
pub struct Server {
    bounds: Bounds,
    privileged: Privileged,
    turns: PathBuf,
}

impl Server {
    /// A server with these rights.
    pub fn new(bounds: Bounds, privileged: Privileged, turns: PathBuf) -> Self {
        Self { bounds, privileged, turns }
    }

    fn perform(&self, effect: &Effect) -> Result<Answer, Failure> {
        let refused =
            || Failure::denied(format!("{}: this server carries out effects on the network only", effect.name()));
        // The bounds are asked last: for what is not of the network they have no word.
        if !is_network(effect) {
            return Err(refused());
        }
        self.bounds.check(effect)?;
        perform(effect, &self.privileged, &self.turns, || self.bounds.proxy_daemon()).ok_or_else(refused)
    }
}

fn is_network(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Links(_) | Effect::Iptables(_) | Effect::Openvswitch(_) | Effect::Sriov(_) | Effect::Tproxy(_)
    )
}

impl Executor for Server {
    fn execute(&mut self, effect: &Effect) -> Answer {
        let panicked = |_| {
            Err(Failure::unknown(format!(
                "{}: the server failed in mid-call, which may have taken effect",
                effect.name()
            )))
        };
        catch_unwind(AssertUnwindSafe(|| self.perform(effect)))
            .unwrap_or_else(panicked)
            .unwrap_or_else(|failure| effect.decline(failure))
    }
}

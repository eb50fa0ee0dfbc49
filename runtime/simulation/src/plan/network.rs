//! Links and hooks of a plan.

use remotes_effect::hooks::{Effect as OnHooks, Outcome};
use remotes_effect::links::Effect as OnLinks;
use remotes_effect::types::Node;
use remotes_effect::{Answer, Effect, Executor, hooks, links};

use super::Plan;

impl<E: Executor> Plan<E> {
    /// The answer, and whether something would be changed.
    pub(super) fn hooks(&mut self, effect: &Effect, on_hooks: &OnHooks) -> (Answer, bool) {
        match on_hooks {
            OnHooks::Entries { .. } => (self.real.look(effect), false),
            OnHooks::Run { .. } => {
                let outcome = Outcome { status: 0, stdout: Vec::new(), stderr: Vec::new() };
                (Answer::Hooks(hooks::Answer::Run(Ok(outcome))), true)
            }
        }
    }

    /// Proxies are shown by their ports; no driver asks for more. Names are looked up as they are.
    pub(super) fn proxies(&mut self, effect: &Effect) -> Answer {
        if !effect.changes() {
            return self.real.look(effect);
        }
        match self.bring_links(effect) {
            None => self.pretend(effect),
            Some(answer) => answer,
        }
    }

    pub(super) fn links(&mut self, effect: &Effect, on_links: &OnLinks) -> Answer {
        if matches!(on_links, OnLinks::Addresses { .. }) || (!effect.changes() && !self.linked) {
            return self.real.look(effect);
        }
        if let Some(answer) = self.bring_links(effect) {
            return answer;
        }
        self.pretend(effect)
    }

    /// Has the overlay show the real links, from the first change on. Where they cannot be seen, what the effect
    /// comes to.
    pub(super) fn bring_links(&mut self, effect: &Effect) -> Option<Answer> {
        if !self.linked {
            match self.real.look(&Effect::Links(OnLinks::Entries {})) {
                Answer::Links(links::Answer::Entries(Ok(entries))) => self.machine(&Node::Here).network.links = entries,
                other => {
                    if let Some(answer) = other.failure().and_then(|failure| effect.refuse(failure.clone())) {
                        return Some(answer);
                    }
                }
            }
            self.linked = true;
        }
        None
    }
}

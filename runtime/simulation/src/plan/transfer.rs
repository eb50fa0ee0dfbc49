//! Copies from place to place in a plan.

use remotes_effect::filesystem::Kind;
use remotes_effect::policy::normalized;
use remotes_effect::types::{Failure, Place};
use remotes_effect::{Answer, Effect, Executor};

use super::Plan;
use super::bring::MOST;
use super::files::collect;
use crate::files::Last;

impl<E: Executor> Plan<E> {
    /// The answer, and whether something would be changed.
    pub(super) fn transfer(&mut self, effect: &Effect, source: &Place, target: &Place) -> (Answer, bool) {
        let result = self.copy_all(effect, source, target);
        self.or_refuse(effect, result)
    }

    fn copy_all(&mut self, effect: &Effect, source: &Place, target: &Place) -> Result<(Answer, bool), Failure> {
        let from = self.found(source, Last::Follow)?;
        let mut left = MOST;
        self.import_tree(&source.on, &from, &mut left)?;
        let mut all = Vec::new();
        if let Some(entry) = self.machine(&source.on).files.at(&from) {
            collect(entry, &mut from.clone(), &mut all);
        }
        let mut missing = Vec::new();
        let mut copies = Vec::new();
        for (names, kind) in all {
            let below = names[from.len()..].iter().map(|name| format!("/{name}")).collect::<String>();
            let copy = Place { on: target.on.clone(), path: format!("{}{below}", target.path.trim_end_matches('/')) };
            // What cannot be a path the overlay refuses.
            if normalized(&copy.path).is_err() {
                break;
            }
            match kind {
                Kind::Directory => missing.extend(self.missing_folders(&copy)?),
                _ => drop(self.found(&copy, Last::Keep)?),
            }
            copies.push((copy, kind, self.shadow(&source.on).origin(&names).cloned()));
        }
        let answer = self.pretend(effect);
        if answer.failure().is_none() {
            self.mark_folders(&missing);
            for (copy, kind, origin) in copies.into_iter().filter(|(_, kind, _)| *kind != Kind::Directory) {
                let names = self.spot(&copy, Last::Keep);
                let shadow = self.shadow(&copy.on);
                shadow.change(&names);
                shadow.links |= kind == Kind::Symlink;
                if let Some(origin) = origin {
                    shadow.set_origin(&names, origin);
                }
            }
        }
        Ok((answer, true))
    }
}

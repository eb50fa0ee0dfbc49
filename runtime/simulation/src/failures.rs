//! Failures on demand.

use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect};
use serde::{Deserialize, Serialize};

/// When an injected failure strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// instead of the effect: nothing happens
    #[default]
    Instead,
    /// the effect happens and its answer is lost
    After,
}

/// One effect that fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Injected {
    /// Name of the effect, `libvirt.create`.
    pub effect: String,
    /// How many effects of that name are still to come before it; 1 is the next one.
    pub nth: u64,
    /// What the driver gets.
    pub failure: Failure,
    /// Whether the effect happens all the same.
    #[serde(default)]
    pub moment: Moment,
}

/// Counts this effect down in every entry; the first that is due strikes, and is used up.
pub(crate) fn due(list: &mut Vec<Injected>, effect: &Effect) -> Option<(Answer, Moment)> {
    // Nearly always empty, and this stands in the way of every effect.
    if list.is_empty() {
        return None;
    }
    let name = effect.name();
    let mut struck = None;
    list.retain_mut(|entry| {
        if entry.effect != name {
            return true;
        }
        entry.nth = entry.nth.saturating_sub(1);
        if entry.nth > 0 {
            return true;
        }
        if struck.is_none() {
            // A function that cannot fail ignores the failure.
            struck = effect.refuse(entry.failure.clone()).map(|answer| (answer, entry.moment));
        }
        false
    });
    struck
}

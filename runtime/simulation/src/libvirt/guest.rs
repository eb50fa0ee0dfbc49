//! How a guest behaves, as far as the hypervisor notices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A guest. It is kept by the domain's name, so that it is there before the domain is created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Guest {
    /// What it does when asked to power off.
    pub power_button: Reaction,
    /// What it does when asked to let a device go.
    pub unplug: Reaction,
    /// Its agent.
    pub agent: Agent,
    /// Whether it holds its CD drives closed; a forced eject opens them all the same.
    pub tray_locked: bool,
}

impl Default for Guest {
    /// Powers off soon, lets devices go at once, has an agent that is not connected.
    fn default() -> Self {
        Self {
            power_button: Reaction::AfterPolls(1),
            unplug: Reaction::AfterPolls(0),
            agent: Agent::Disconnected,
            tray_locked: false,
        }
    }
}

/// When a guest does what it is asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// never
    Ignores,
    /// when so many more effects have looked at the domain; 0: at once
    AfterPolls(u32),
    /// when so much time has passed; 0: at once
    AfterSeconds(u64),
}

/// Something that a guest is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Countdown {
    /// after so many more looks at the domain
    Polls(u32),
    /// at this time, in milliseconds since 1970
    At(u64),
}

impl Reaction {
    /// None: never.
    pub(super) fn begin(self, now: u64) -> Option<Countdown> {
        match self {
            Self::Ignores => None,
            Self::AfterPolls(count) => Some(Countdown::Polls(count)),
            Self::AfterSeconds(seconds) => Some(Countdown::At(now.saturating_add(seconds.saturating_mul(1000)))),
        }
    }
}

impl Countdown {
    pub(super) fn due(self, now: u64) -> bool {
        match self {
            Self::Polls(left) => left == 0,
            Self::At(time) => time <= now,
        }
    }

    /// Somebody looks.
    pub(super) fn poll(&mut self) {
        if let Self::Polls(left) = self {
            *left = left.saturating_sub(1);
        }
    }
}

/// The guest agent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    /// the domain has no channel for one
    NotConfigured,
    /// it has, and nobody is there
    #[default]
    Disconnected,
    /// It is there, and returns this for commands of these names; others it does not know.
    Answers(BTreeMap<String, Value>),
}

impl Agent {
    /// An agent that returns these values: `[("guest-exec", json!({"pid": 7}))]`.
    pub fn answering<'a>(answers: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::Answers(answers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

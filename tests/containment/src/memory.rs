//! A journal in memory.

use std::time::Duration;

use remotes_effect::journal::Journal;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, log};

/// One effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What was asked.
    pub effect: Effect,
    /// What came of it; none where the action ended with it, or inside it.
    pub answer: Option<Answer>,
    /// Why the action ended with it.
    pub stopped: Option<Failure>,
}

/// All that the journal of an action is told.
#[derive(Debug, Default)]
pub struct Memory {
    /// The effects in order.
    pub entries: Vec<Entry>,
    /// Why the action ended without a reply.
    pub aborted: Option<String>,
}

impl Memory {
    /// The failures of effects of this name, in order.
    pub fn failures(&self, name: &str) -> Vec<&Failure> {
        let named = self.entries.iter().filter(|entry| entry.effect.name() == name);
        named.filter_map(|entry| entry.answer.as_ref().and_then(Answer::failure).or(entry.stopped.as_ref())).collect()
    }

    /// What the driver logged.
    pub fn logged(&self) -> Vec<&str> {
        let mut logged = Vec::new();
        for entry in &self.entries {
            if let Effect::Log(log::Effect::Write { message, .. }) = &entry.effect {
                logged.push(message.as_str());
            }
        }
        logged
    }
}

impl Journal for Memory {
    fn begin(&mut self, number: u64, effect: &Effect) {
        assert_eq!(number, self.entries.len() as u64 + 1, "the journal leaves nothing out");
        self.entries.push(Entry { effect: effect.clone(), answer: None, stopped: None });
    }

    fn end(&mut self, _: u64, effect: &Effect, answer: &Answer, _: Duration) {
        let entry = self.entries.last_mut().expect("an effect ends that began");
        assert_eq!(entry.effect, *effect);
        entry.answer = Some(answer.clone());
    }

    fn stopped(&mut self, _: u64, effect: &Effect, failure: &Failure, _: Duration) {
        let entry = self.entries.last_mut().expect("an effect is stopped that began");
        assert_eq!(entry.effect, *effect);
        entry.stopped = Some(failure.clone());
    }

    fn aborted(&mut self, reason: &str) {
        self.aborted = Some(reason.to_owned());
    }
}

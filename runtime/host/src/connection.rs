//! A connection to an effect server that is made when first needed, and once more when it is lost.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::Hello;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect};

use crate::server::{Server, ServerError};

/// How long a server may take to answer a question. An action that moves a machine may take days; to be told of
/// a daemon that hangs must not.
const ANSWER: Duration = Duration::from_secs(60);

/// One server, named for messages: `the libvirt server`, `host node1`.
pub(crate) struct Connection {
    name: String,
    /// whom the server waits for where it does not answer, if not itself
    behind: Option<String>,
    command: Command,
    policy: Arc<Policy>,
    deadline: Deadline,
    answer: Duration,
    server: Option<Server>,
}

impl Connection {
    /// Starts nothing yet.
    pub fn new(name: String, command: Command, policy: Arc<Policy>, deadline: Deadline) -> Self {
        Self { name, behind: None, command, policy, deadline, answer: ANSWER, server: None }
    }

    /// The server does nothing but talk to this one, which messages name where there is no answer.
    pub fn to(self, behind: String) -> Self {
        Self { behind: Some(behind), ..self }
    }

    /// Starts the server and waits until it is ready. Nothing has happened where it is not.
    pub fn open(&mut self) -> Result<(), ServerError> {
        let mut server = self.start()?;
        server.ready(self.deadline)?;
        self.server = Some(server);
        Ok(())
    }

    fn start(&mut self) -> Result<Server, ServerError> {
        Server::start(&mut self.command, &Hello::new(Policy::clone(&self.policy), self.deadline.left()))
    }

    /// Has an effect carried out. What cannot have happened, or changes nothing, is sent to a new server
    /// when the first is lost; anything else that is lost is `unknown`.
    pub fn call(&mut self, effect: &Effect) -> Result<Answer, Failure> {
        let error = match self.attempt(effect) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let lost = matches!(error, ServerError::Gone { .. });
        if !lost || (effect.changes() && error.may_have_happened()) {
            return Err(self.failure(effect, &error));
        }
        self.attempt(effect).map_err(|error| self.failure(effect, &error))
    }

    fn attempt(&mut self, effect: &Effect) -> Result<Answer, ServerError> {
        let mut server = match self.server.take() {
            Some(server) => server,
            None => self.start()?,
        };
        // After an error the server is dropped, which ends it.
        let answer = server.ask(effect, self.until(effect))?;
        self.server = Some(server);
        Ok(answer)
    }

    /// When it must have answered.
    fn until(&self, effect: &Effect) -> Deadline {
        if effect.changes() { self.deadline } else { self.deadline.within(self.answer) }
    }

    fn failure(&self, effect: &Effect, error: &ServerError) -> Failure {
        let lost = effect.changes() && error.may_have_happened();
        let outcome = if lost { "; whether it happened is not known: look before doing it again" } else { "" };
        let problem = match error {
            ServerError::Timeout { .. } => {
                let whom = self.behind.as_ref().unwrap_or(&self.name);
                // The action may go on after a question that was not answered.
                let within = match self.deadline.passed() {
                    true => format!("the action's {}", self.deadline.limit()),
                    false => format!("{} s", self.answer.as_secs_f64()),
                };
                format!("{whom} gave no answer within {within}")
            }
            error => format!("{} {error}", self.name),
        };
        let message = format!("{}: {problem}{outcome}", effect.name());
        match error {
            ServerError::Timeout { .. } => Failure::timeout(message),
            _ if lost => Failure::unknown(message),
            ServerError::Frame(_) | ServerError::Mismatch => Failure::failed(message),
            ServerError::Start(_) | ServerError::Gone { .. } | ServerError::Pipe(_) => Failure::unavailable(message),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use remotes_effect::libvirt;
    use remotes_effect::types::{FailureKind, Node};

    use super::*;

    #[test]
    fn a_question_to_a_server_that_hangs_ends_long_before_the_action() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let week = Deadline::after(Duration::from_secs(604_800));
        let mut connection = Connection::new("the server".to_owned(), command, Arc::new(policy()), week);
        connection.answer = Duration::from_millis(50);
        let effect = libvirt::Effect::Find { on: Node::Here, domain: "one-7".to_owned() };
        let failure = connection.call(&Effect::Libvirt(effect)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
        assert_eq!(failure.message, "libvirt.find: the server gave no answer within 0.05 s");
    }

    #[test]
    fn whom_was_waited_for_and_how_long_is_said() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let soon = Deadline::after(Duration::from_millis(50));
        let mut connection = Connection::new("the server".to_owned(), command, Arc::new(policy()), soon)
            .to("libvirt at test:///default".to_owned());
        let effect = libvirt::Effect::Destroy { on: Node::Here, domain: "one-7".to_owned() };
        let failure = connection.call(&Effect::Libvirt(effect)).unwrap_err();
        assert_eq!(
            failure.message,
            "libvirt.destroy: libvirt at test:///default gave no answer within the action's 1 s (limits.time-seconds or \
             limits.action-seconds in the driver's policy); whether it happened is not known: look before doing it again"
        );
    }

    fn policy() -> Policy {
        Policy::parse("schema = 1", std::path::Path::new("policy.toml")).unwrap()
    }
}

//! What goes through the guest's agent.

use remotes_effect::types::Failure;
use serde_json::Value;

use super::error::{agent_unresponsive, argument_unsupported, internal, not_running, operation_unsupported};
use super::{Agent, Session};

impl Session<'_> {
    pub fn sync_time(&mut self, reference: &str) -> Result<(), Failure> {
        if !self.domain(reference)?.active() {
            let reason = "cannot set time: qemu doesn't support rtc-reset-reinjection command";
            return Err(operation_unsupported(reason));
        }
        self.agent(reference).map(|_| ())
    }

    pub fn guest_agent(&mut self, reference: &str, command: &str, _seconds: u32) -> Result<String, Failure> {
        let command: Value =
            serde_json::from_str(command).map_err(|error| internal(format!("cannot parse json {command}: {error}")))?;
        let name = command.get("execute").and_then(|name| name.as_str()).unwrap_or_default();
        let value = self.ask(reference, name)?;
        Ok(serde_json::json!({ "return": value }).to_string())
    }

    pub fn freeze(&mut self, reference: &str, mount_points: &[String]) -> Result<u32, Failure> {
        let some = !mount_points.is_empty();
        self.count(reference, if some { "guest-fsfreeze-freeze-list" } else { "guest-fsfreeze-freeze" })
    }

    pub fn thaw(&mut self, reference: &str, _mount_points: &[String]) -> Result<u32, Failure> {
        self.count(reference, "guest-fsfreeze-thaw")
    }

    fn count(&mut self, reference: &str, command: &str) -> Result<u32, Failure> {
        let value = self.ask(reference, command)?;
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count.ok_or_else(|| internal(format!("malformed return value of {command}")))
    }

    fn ask(&mut self, reference: &str, command: &str) -> Result<Value, Failure> {
        let Agent::Answers(answers) = self.agent(reference)? else { return Err(not_running()) };
        answers.get(command).cloned().ok_or_else(|| {
            internal(format!(
                "unable to execute QEMU agent command '{command}': The command {command} has not been found"
            ))
        })
    }

    fn agent(&mut self, reference: &str) -> Result<&Agent, Failure> {
        let name = self.active(reference)?.name.clone();
        match &self.hypervisor.guest(&name).agent {
            Agent::NotConfigured => Err(argument_unsupported("QEMU guest agent is not configured")),
            Agent::Disconnected => Err(agent_unresponsive("QEMU guest agent is not connected")),
            agent => Ok(agent),
        }
    }
}

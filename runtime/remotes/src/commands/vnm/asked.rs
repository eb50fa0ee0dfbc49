//! How a host is asked: by effects that change nothing, as a driver asks, under a policy that grants nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use remotes_effect::deadline::Deadline;
use remotes_effect::journal::Nothing;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_host::{Machine, Surroundings};

use crate::output;

const POLICY: &str = r#"
schema = 1
[links]
[iptables]
chains = ["one-*"]
shared = ["opennebula"]
callers = ["FORWARD", "INPUT"]
sets = ["one-*"]
[openvswitch]
bridges = ["*"]
[paths]
"#;

/// What is asked.
pub type Asked = Pipeline<Nothing, Machine>;

/// This host, and the folder in which its datastores are.
pub fn host(datastores: &Path) -> Result<Asked> {
    let policy = format!("{POLICY}{} = \"ro\"\n", toml::Value::from(datastores.to_string_lossy().as_ref()));
    let policy = Arc::new(Policy::parse(&policy, Path::new("the policy of vnm show"))?);
    let machine = Machine::new(Surroundings {
        policy: policy.clone(),
        tree: "/".into(),
        deadline: Deadline::after(Duration::from_secs(60)),
        libvirt_server: "/nonexistent".into(),
        log: Box::new(|_, text| output::complain(text)),
    });
    Ok(Pipeline::new(policy, Nothing, machine))
}

/// What was answered; where nothing was, why is noted.
pub fn known<T>(result: Result<T, Failure>, what: &str, unseen: &mut Vec<String>) -> Option<T> {
    result.inspect_err(|failure| unseen.push(format!("{what}: {}", failure.message))).ok()
}

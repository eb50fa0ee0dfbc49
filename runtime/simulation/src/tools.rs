//! Scripted programs.

use std::collections::BTreeMap;

use remotes_effect::tools::{Executor, Outcome};
use remotes_effect::types::{Failure, Node};
use serde::{Deserialize, Serialize};

use crate::Simulation;

/// A program and what its runs come to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tool {
    /// Outcomes in order; the last one is for all further runs. None at all: status 0, no output.
    pub outcomes: Vec<Outcome>,
    /// How often it was run.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// without the program
    pub arguments: Vec<String>,
    /// standard input
    #[serde(with = "remotes_effect::bytes", default)]
    pub stdin: Vec<u8>,
}

/// The programs of one machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tools(pub BTreeMap<String, Tool>);

impl Tools {
    /// Adds an outcome to a program's list, and the program where it is new.
    pub fn add(&mut self, name: &str, outcome: Outcome) {
        self.0.entry(name.to_owned()).or_default().outcomes.push(outcome);
    }

    fn run(&mut self, name: &str, arguments: &[String], stdin: &[u8]) -> Result<Outcome, Failure> {
        let tool = self
            .0
            .get_mut(name)
            .ok_or_else(|| Failure::not_found(format!("tool {name}: there is no such program; install it")))?;
        let outcome = tool.outcomes.get(tool.runs.len()).or(tool.outcomes.last()).cloned();
        tool.runs.push(Run { arguments: arguments.to_vec(), stdin: stdin.to_vec() });
        Ok(outcome.unwrap_or(Outcome { status: 0, stdout: Vec::new(), stderr: Vec::new() }))
    }
}

impl Executor for Simulation {
    fn available(&mut self, on: &Node, tool: &str) -> Result<bool, Failure> {
        let granted = self.policy.as_ref().is_none_or(|policy| policy.tools.contains_key(tool));
        Ok(self.machine(on)?.tools.0.contains_key(tool) && granted)
    }

    fn run(&mut self, on: &Node, tool: &str, arguments: &[String], stdin: &[u8]) -> Result<Outcome, Failure> {
        self.machine(on)?.tools.run(tool, arguments, stdin)
    }
}

//! Commands that are timed one after the other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

/// One of them.
pub struct Step {
    program: PathBuf,
    arguments: Vec<String>,
    input: Option<PathBuf>,
    path: Option<OsString>,
}

impl Step {
    /// A program with its arguments.
    pub fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { program: program.into(), arguments, input: None, path: None }
    }

    /// It reads this file.
    pub fn reading(self, file: &Path) -> Self {
        Self { input: Some(file.to_owned()), ..self }
    }

    /// It finds programs of this folder before others.
    pub fn finding(self, folder: &Path) -> Self {
        let mut path = folder.as_os_str().to_owned();
        path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
        Self { path: Some(path), ..self }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command
    }
}

/// Milliseconds that all of them take together.
pub fn time(steps: &[Step]) -> Result<f64> {
    steps.iter().map(|step| super::time(step.command(), step.input.as_deref())).sum()
}

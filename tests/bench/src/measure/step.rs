//! Commands that are timed one after the other.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

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

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.program);
        let input = match &self.input {
            Some(file) => File::open(file).with_context(|| file.display().to_string())?.into(),
            None => Stdio::null(),
        };
        command.args(&self.arguments).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        Ok(command)
    }
}

/// Milliseconds that all of them take together.
pub fn time(steps: &[Step]) -> Result<f64> {
    let commands = steps.iter().map(Step::command).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    for mut command in commands {
        let status = command.status().with_context(|| format!("{command:?}"))?;
        if !status.success() {
            bail!("{command:?}: {status}: nothing was measured");
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

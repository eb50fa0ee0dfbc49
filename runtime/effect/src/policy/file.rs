//! Reading a policy file.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Policy, SCHEMA, normalized};
use crate::network::names::{self, Network};

/// No action takes longer.
const LONGEST_SECONDS: u64 = 31 * 86_400;

/// Where a policy came from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(pub PathBuf);

/// A policy file that cannot be used.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// It cannot be read.
    #[error("policy {}: {source}", file.display())]
    Read {
        /// the file
        file: PathBuf,
        /// what the system says
        source: std::io::Error,
    },
    /// It is not TOML of this schema.
    #[error("policy {}: {message}", file.display())]
    Syntax {
        /// the file
        file: PathBuf,
        /// what the parser says, with line and column
        message: String,
    },
    /// It says something that cannot be meant.
    #[error("policy {}: {message}", file.display())]
    Meaning {
        /// the file
        file: PathBuf,
        /// what is wrong and what is expected
        message: String,
    },
}

impl Policy {
    /// Reads and checks one file.
    pub fn read(file: &Path) -> Result<Self, PolicyError> {
        let text =
            std::fs::read_to_string(file).map_err(|source| PolicyError::Read { file: file.to_owned(), source })?;
        Self::parse(&text, file)
    }

    /// Parses and checks the text of a file; `file` is for messages.
    pub fn parse(text: &str, file: &Path) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| PolicyError::Syntax {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        policy.validate().map_err(|message| PolicyError::Meaning { file: file.to_owned(), message })?;
        Ok(policy)
    }

    fn validate(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("schema = {}: this runtime reads schema {SCHEMA}", self.schema));
        }
        for folder in self.paths.0.keys() {
            let components = normalized(folder).map_err(|failure| format!("[paths]: {}", failure.message))?;
            if components.is_empty() {
                return Err("[paths]: the root folder cannot be granted; name the folders that are needed".into());
            }
        }
        for (name, tool) in &self.tools {
            if !tool.path.starts_with('/') && !tool.path.starts_with("$REMOTES/") {
                return Err(format!("[tools.{name}]: path {:?} is neither absolute nor below $REMOTES", tool.path));
            }
            if tool.path.split('/').any(|part| part == "..") {
                return Err(format!("[tools.{name}]: path {:?} has `..`", tool.path));
            }
        }
        for file in &self.configuration {
            if file.starts_with('/') || file.split('/').any(|part| part == ".." || part.is_empty()) {
                return Err(format!("configuration: {file:?} is not a path below the tree's etc"));
            }
        }
        let networks = self.iptables.iter().flat_map(|grant| &grant.networks);
        let networks = networks.chain(self.tproxy.iter().flat_map(|grant| &grant.networks));
        for network in networks.chain(self.links.iter().flat_map(|grant| &grant.networks)) {
            Network::parse(network).map_err(|failure| format!("networks: {}", failure.message))?;
        }
        for chain in self.iptables.iter().flat_map(|grant| &grant.callers) {
            names::chain(chain).map_err(|failure| format!("[iptables]: callers: {}", failure.message))?;
        }
        if let Some(program) = self.tproxy.as_ref().and_then(|grant| grant.program.as_ref())
            && (!program.starts_with('/') || program.split('/').any(|part| part == ".."))
        {
            return Err(format!("[tproxy]: program = {program:?}: expected an absolute path without `..`"));
        }
        if let Some(journal) = self.journal.as_deref().filter(|journal| !journal.starts_with('/')) {
            return Err(format!("journal = {journal:?}: expected an absolute path"));
        }
        if let Some(directory) = &self.remote_directory {
            // ssh hands it to a shell on the other side.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
            if !directory.starts_with('/') || !directory.bytes().all(plain) {
                return Err(format!(
                    "remote-directory = {directory:?}: expected an absolute path of letters, digits, `.`, `_`, `-`"
                ));
            }
        }
        let limits = &self.limits;
        let positive = [
            ("memory-mib", limits.memory_mib, 4096),
            // A thread has 2 MiB at least, and the runtime needs its share.
            ("stack-kib", limits.stack_kib, 1024),
            ("start-seconds", limits.start_seconds, 3600),
            ("time-seconds", limits.time_seconds, LONGEST_SECONDS),
            ("argument-kib", limits.argument_kib, 1024 * 1024),
            ("tool-output-kib", limits.tool_output_kib, 1024 * 1024),
        ];
        let actions =
            limits.action_seconds.iter().map(|(action, seconds)| (action.as_str(), *seconds, LONGEST_SECONDS));
        for (name, value, most) in positive.into_iter().chain(actions) {
            if value == 0 || value > most {
                return Err(format!("[limits]: {name} = {value}: expected 1 to {most}"));
            }
        }
        Ok(())
    }
}

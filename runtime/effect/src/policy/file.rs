//! Reading a policy file.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{LibvirtGrant, Policy, SCHEMA, normalized};
use crate::network::names;
use crate::text::toml_problem;
use crate::trust;

/// The subsystem whose actions have hooks.
const HOOKED: &str = "vnm";

/// Bytes of a policy file. Those of our drivers have some thousands.
const LONGEST: u64 = 1024 * 1024;

/// A policy file that cannot be used.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// It cannot be read.
    #[error("policy {}: {reason}", file.display())]
    Read {
        /// the file
        file: PathBuf,
        /// what the system says, or what it is instead of a file
        reason: String,
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
        Self::read_if(file, |_| None)
    }

    /// The same for one that something is to run under: it is refused where others than root and this user can have
    /// written it, who would grant themselves what they like.
    pub fn read_in_force(file: &Path, user: u32) -> Result<Self, PolicyError> {
        Self::read_if(file, |metadata| trust::open_to_others(metadata.uid(), metadata.mode(), user))
    }

    fn read_if(file: &Path, refused: impl Fn(&Metadata) -> Option<String>) -> Result<Self, PolicyError> {
        let unreadable = |reason: String| PolicyError::Read { file: file.to_owned(), reason };
        let system = |error: std::io::Error| unreadable(error.to_string());
        // Before it is opened: to open a FIFO is to wait for its writer.
        if !std::fs::metadata(file).map_err(system)?.is_file() {
            return Err(unreadable("it is no regular file".to_owned()));
        }
        let mut text = Vec::new();
        let opened = File::open(file).map_err(system)?;
        if let Some(reason) = refused(&opened.metadata().map_err(system)?) {
            return Err(unreadable(format!("refused, because {reason}; expected: {}", trust::EXPECTED)));
        }
        opened.take(LONGEST + 1).read_to_end(&mut text).map_err(system)?;
        if text.len() as u64 > LONGEST {
            return Err(unreadable(format!("it is longer than {} KiB, which no policy is", LONGEST / 1024)));
        }
        let text = String::from_utf8(text).map_err(|error| PolicyError::Syntax {
            file: file.to_owned(),
            message: format!("it is not UTF-8 from byte {} on", error.utf8_error().valid_up_to() + 1),
        })?;
        Self::parse(&text, file)
    }

    /// Parses and checks the text of a file; `file` is for messages.
    pub fn parse(text: &str, file: &Path) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text)
            .map_err(|error| PolicyError::Syntax { file: file.to_owned(), message: toml_problem(text, &error) })?;
        policy.validate().map_err(|message| PolicyError::Meaning { file: file.to_owned(), message })?;
        Ok(policy)
    }

    fn validate(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("schema = {}: this runtime reads schema {SCHEMA}", self.schema));
        }
        self.validate_paths_and_tools()?;
        if let Some(action) = self.hooks.iter().find(|action| !crate::actions(HOOKED).contains(&action.as_str())) {
            let known = crate::actions(HOOKED).join(", ");
            return Err(format!("hooks: {HOOKED} has no action {action:?}; expected {known}"));
        }
        self.libvirt.as_ref().map_or(Ok(()), LibvirtGrant::validate)?;
        for file in &self.configuration {
            if file.starts_with('/') || file.split('/').any(|part| part == ".." || part.is_empty()) {
                return Err(format!("configuration: {file:?} is not a path below the tree's etc"));
            }
        }
        self.validate_network()?;
        self.validate_whereabouts()?;
        self.limits.validate()
    }

    fn validate_paths_and_tools(&self) -> Result<(), String> {
        for folder in self.paths.0.keys() {
            let components = normalized(folder).map_err(|failure| format!("[paths]: {}", failure.message))?;
            if components.is_empty() {
                return Err("[paths]: the root folder cannot be granted; name the folders that are needed".into());
            }
            if folder.contains(['*', '?', '[', '{']) {
                return Err(format!("[paths]: {folder:?}: folders are granted by name, patterns mean nothing here"));
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
        Ok(())
    }

    fn validate_network(&self) -> Result<(), String> {
        for chain in self.iptables.iter().flat_map(|grant| &grant.callers) {
            names::chain(chain).map_err(|failure| format!("[iptables]: callers: {}", failure.message))?;
        }
        if let Some(program) = self.tproxy.as_ref().and_then(|grant| grant.program.as_ref())
            && (!program.starts_with('/') || program.split('/').any(|part| part == ".."))
        {
            return Err(format!("[tproxy]: program = {program:?}: expected an absolute path without `..`"));
        }
        Ok(())
    }

    /// The journal, and the remotes of other hosts.
    fn validate_whereabouts(&self) -> Result<(), String> {
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
        Ok(())
    }
}

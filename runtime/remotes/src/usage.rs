//! Wrong usage that clap cannot see.

use std::ffi::OsStr;

use thiserror::Error;

use crate::cli::Exec;

/// The exit code of wrong usage, as clap has it.
pub const CODE: u8 = 2;

/// A command line that means nothing.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Usage(String);

impl Usage {
    /// As an error of a command.
    pub fn error(message: impl Into<String>) -> anyhow::Error {
        Self(message.into()).into()
    }
}

/// Refuses what looks like an option of `exec` among the action's arguments, where it would do nothing: with
/// `--dry-run` behind the action, or misspelt, the action would really run. `words` is the whole command line, of which
/// the arguments are the end.
pub fn check_arguments<S: AsRef<OsStr>>(exec: &Exec, words: &[S]) -> anyhow::Result<()> {
    let before = words.len().saturating_sub(exec.arguments.len());
    if words[..before].iter().any(|word| word.as_ref() == "--") {
        return Ok(());
    }
    match exec.arguments.iter().find(|argument| argument.starts_with("--") && argument.len() > 2) {
        Some(argument) => Err(Usage::error(format!(
            "{argument} stands behind {action}, where it would be an argument of the action; put an option of exec \
             before {action}, or, if the action is to get it, put -- between {action} and its arguments",
            action = exec.action
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn arguments(line: &str) -> anyhow::Result<Vec<String>> {
        let words: Vec<&str> = line.split(' ').collect();
        let Command::Exec(exec) = Cli::try_parse_from(&words)?.command else { panic!("{line}") };
        check_arguments(&exec, &words)?;
        Ok(exec.arguments)
    }

    #[test]
    fn options_of_exec_stand_before_the_action() {
        for line in [
            "remotes exec vmm/dummy/cancel one-7 node1 --dry-run",
            "remotes exec vmm/dummy/cancel one-7 --journal=f",
            "remotes exec vmm/dummy/cancel one-7 --tree t",
            "remotes exec vmm/dummy/cancel one-7 --json",
            "remotes exec vmm/dummy/cancel one-7 --help",
            "remotes exec vmm/dummy/cancel one-7 node1 --dryrun",
            "remotes exec vmm/dummy/cancel one-7 node1 --jornal=f",
            "remotes exec vmm/dummy/cancel one-7 -- --dry-run",
        ] {
            let error = arguments(line).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains("vmm/dummy/cancel"), "{line}: {error}");
        }
        // What the action is to get, to the byte. Before the first argument an option is still one.
        for (line, expected) in [
            ("remotes exec vmm/dummy/cancel --dry-run one-7 node1", &["one-7", "node1"][..]),
            ("remotes exec vmm/dummy/cancel one-7 - -x --", &["one-7", "-", "-x", "--"]),
            ("remotes exec vmm/dummy/cancel -- one-7 --other", &["one-7", "--other"]),
            ("remotes exec vmm/dummy/cancel -- --dry-run node1", &["--dry-run", "node1"]),
            ("remotes exec -- vmm/dummy/cancel --dry-run", &["--dry-run"]),
            ("remotes exec vmm/dummy/cancel -- a -- --json", &["a", "--", "--json"]),
            ("remotes exec vmm/dummy/cancel -- -- --json", &["--", "--json"]),
            ("remotes exec vmm/dummy/cancel --", &[]),
        ] {
            assert_eq!(arguments(line).unwrap(), expected, "{line}");
        }
    }
}

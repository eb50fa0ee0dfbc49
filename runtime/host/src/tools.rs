//! Programs that the policy names, run without a shell.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use remotes_effect::deadline::Deadline;
use remotes_effect::network::names;
use remotes_effect::policy::{ArgumentPattern, Policy, ToolGrant};
use remotes_effect::tools::{Executor, Outcome};
use remotes_effect::types::{Failure, Node};
use remotes_process::report::{io_failure, shown};
use remotes_process::{Process, system_program};
use rustix::fs::Access;

/// The executor of `tools`.
#[derive(Debug, Clone, Copy)]
pub struct Tools<'a> {
    policy: &'a Policy,
    tree: &'a Path,
    deadline: Deadline,
}

impl<'a> Tools<'a> {
    /// `tree` is what `$REMOTES` stands for.
    pub fn new(policy: &'a Policy, tree: &'a Path, deadline: Deadline) -> Self {
        Self { policy, tree, deadline }
    }

    fn granted(&self, tool: &str) -> Result<&'a ToolGrant, Failure> {
        self.policy.tools.get(tool).ok_or_else(|| {
            Failure::denied(format!(
                "{0}: not among the granted tools; a table [tools.{0}] in the driver's policy would allow it",
                shown(tool)
            ))
        })
    }

    fn path(&self, grant: &ToolGrant) -> PathBuf {
        match grant.path.strip_prefix("$REMOTES/") {
            Some(below) => self.tree.join(below),
            None => PathBuf::from(&grant.path),
        }
    }

    /// The process that runs a tool, where its program can be trusted.
    fn process(&self, tool: &str, grant: &ToolGrant) -> Result<Process, Failure> {
        let path = self.path(grant);
        let as_root = grant.sudo && !rustix::process::geteuid().is_root();
        trusted(tool, &path, rustix::process::geteuid().as_raw())?;
        if !as_root {
            return Ok(Process::new(path));
        }
        let mut arguments = vec!["-n".into(), "--".into()];
        arguments.push(path.into_os_string());
        Ok(Process::new(sudo(tool)?).arguments(arguments))
    }
}

impl Executor for Tools<'_> {
    fn available(&mut self, _on: &Node, tool: &str) -> Result<bool, Failure> {
        let Ok(grant) = self.granted(tool) else { return Ok(false) };
        let path = self.path(grant);
        match std::fs::metadata(&path) {
            Ok(_) => trusted(tool, &path, rustix::process::geteuid().as_raw())?,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            Err(error) => return Err(io_failure(&path, "look at the program", &error)),
        }
        if !grant.sudo || rustix::process::geteuid().is_root() {
            return Ok(rustix::fs::access(&path, Access::EXEC_OK).is_ok());
        }
        let Ok(sudo) = sudo(tool) else { return Ok(false) };
        for arguments in asked(grant) {
            let words = [OsString::from("-n"), "-l".into(), path.clone().into_os_string()];
            let words = words.into_iter().chain(arguments.into_iter().map(OsString::from));
            if Process::new(&sudo).arguments(words).run(self.deadline)?.status == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run(&mut self, _on: &Node, tool: &str, arguments: &[String], stdin: &[u8]) -> Result<Outcome, Failure> {
        let grant = self.granted(tool)?;
        grant.check(tool, arguments)?;
        let limit = usize::try_from(self.policy.limits.tool_output_kib).unwrap_or(usize::MAX).saturating_mul(1024);
        self.process(tool, grant)?
            .arguments(arguments)
            .input(stdin)
            .limit(limit)
            .run(self.deadline)
            .map_err(|failure| Failure { message: format!("{}: {}", shown(tool), failure.message), ..failure })
    }
}

/// What there is to say of a tool that a policy does not grant, where a program of its name lies beside the driver's
/// actions: whoever has put it there takes it for one that is run.
pub(crate) fn ungranted(policy: &Policy, actions: &Path, tool: &str) -> Option<String> {
    if policy.tools.contains_key(tool) || names::hook(tool).is_err() {
        return None;
    }
    let path = actions.join(tool);
    let is_program = path.is_file() && rustix::fs::access(&path, Access::EXEC_OK).is_ok();
    is_program.then(|| {
        let (path, tool) = (shown(&path), shown(tool));
        format!("{path} is not run: a table [tools.{tool:?}] in the driver's policy, with its path and arguments, would allow it")
    })
}

fn sudo(tool: &str) -> Result<PathBuf, Failure> {
    system_program("sudo")
        .ok_or_else(|| Failure::unavailable(format!("{}: sudo is needed for it and is not installed", shown(tool))))
}

/// The argument lists that sudo is asked about: it answers for one with its arguments, and a rule that names some
/// permits no others. One with wildcards is asked about by the program alone.
fn asked(grant: &ToolGrant) -> Vec<Vec<String>> {
    let mut lists: Vec<Vec<String>> = grant.arguments.iter().filter_map(ArgumentPattern::literal).collect();
    if lists.len() < grant.arguments.len() {
        lists.push(Vec::new());
    }
    lists
}

/// Whether nobody but root and the runtime's user can have written the program. Also one that runs by sudo may be
/// that user's, as OpenNebula's own are: what sudo runs is for its rules to say, and drivers write neither.
fn trusted(tool: &str, path: &Path, user: u32) -> Result<(), Failure> {
    let (tool, shown_path) = (shown(tool), shown(path));
    let metadata = std::fs::metadata(path).map_err(|error| io_failure(path, "look at the program", &error))?;
    if !metadata.is_file() {
        return Err(Failure::failed(format!("{tool}: {shown_path} is no program")));
    }
    if metadata.uid() != 0 && metadata.uid() != user {
        return Err(Failure::failed(format!(
            "{tool}: {shown_path} belongs to uid {}, expected root or the runtime's user (uid {user}): it is not run; \
             `chown` it",
            metadata.uid()
        )));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Failure::failed(format!(
            "{tool}: {shown_path} may be written by others than its owner (mode {:o}): it is not run; `chmod go-w` it",
            metadata.mode() & 0o7777
        )));
    }
    let folder = std::fs::canonicalize(path)
        .and_then(|path| std::fs::metadata(path.parent().unwrap_or(&path)))
        .map_err(|error| io_failure(path, "look at the program's folder", &error))?;
    // Writable by all, and not sticky: anybody may put another program there.
    match folder.mode() & 0o1002 {
        0o0002 => Err(Failure::failed(format!(
            "{tool}: {shown_path} lies in a folder that everybody may write to: it is not run; `chmod o-w` the folder"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use remotes_effect::policy::Pattern;

    use super::*;

    fn grant(lists: &[&[&str]]) -> ToolGrant {
        let list = |list: &&[&str]| ArgumentPattern(list.iter().map(|word| Pattern((*word).to_owned())).collect());
        ToolGrant { path: "/usr/sbin/sysctl".into(), sudo: true, arguments: lists.iter().map(list).collect() }
    }

    #[test]
    fn sudo_is_asked_with_the_arguments_that_its_rules_name() {
        let words = ["vm.drop_caches=3", "vm.compact_memory=1"];
        assert_eq!(asked(&grant(&[&words])), [words.map(str::to_owned).to_vec()]);
        assert_eq!(asked(&grant(&[&["CREATE", "/d/**/vm.xml"], &["recover", "..."]])), [Vec::<String>::new()]);
        assert_eq!(asked(&grant(&[&["-w"], &["*"]])), [vec!["-w".to_owned()], vec![]]);
    }

    #[test]
    fn a_program_is_roots_or_the_users() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("vtpm_setup");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let owner = std::fs::metadata(&program).unwrap().uid();
        trusted("vtpm_setup", &program, owner).unwrap();
        if owner != 0 {
            return trusted("vtpm_setup", &program, owner + 1).map_or((), |()| panic!("another user's"));
        }
        trusted("vtpm_setup", &program, 1000).unwrap();
        std::os::unix::fs::chown(&program, Some(1000), None).unwrap();
        trusted("vtpm_setup", &program, 1000).unwrap();
        assert!(trusted("vtpm_setup", &program, 1001).is_err());
    }
}

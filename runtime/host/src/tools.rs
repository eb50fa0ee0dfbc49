//! Programs that the policy names, run without a shell.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::{Policy, ToolGrant};
use remotes_effect::tools::{Executor, Outcome};
use remotes_effect::types::{Failure, Node};
use rustix::fs::Access;

use crate::process::{Process, system_program};
use crate::report::{io_failure, shown};

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
        trusted(tool, &path, grant.sudo)?;
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
            Ok(_) => trusted(tool, &path, grant.sudo)?,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            Err(error) => return Err(io_failure(&path, "look at the program", &error)),
        }
        if !grant.sudo || rustix::process::geteuid().is_root() {
            return Ok(rustix::fs::access(&path, Access::EXEC_OK).is_ok());
        }
        let Ok(sudo) = sudo(tool) else { return Ok(false) };
        let outcome =
            Process::new(sudo).arguments(["-n".into(), "-l".into(), path.into_os_string()]).run(self.deadline)?;
        Ok(outcome.status == 0)
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

fn sudo(tool: &str) -> Result<PathBuf, Failure> {
    system_program("sudo")
        .ok_or_else(|| Failure::unavailable(format!("{}: sudo is needed for it and is not installed", shown(tool))))
}

/// Whether nobody but root, and the runtime's user where the tool runs as that, can have written the
/// program.
fn trusted(tool: &str, path: &Path, as_root: bool) -> Result<(), Failure> {
    let (tool, shown_path) = (shown(tool), shown(path));
    let metadata = std::fs::metadata(path).map_err(|error| io_failure(path, "look at the program", &error))?;
    if !metadata.is_file() {
        return Err(Failure::failed(format!("{tool}: {shown_path} is no program")));
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && (as_root || metadata.uid() != user) {
        let expected = if as_root { "root" } else { "root or the runtime's user" };
        return Err(Failure::failed(format!(
            "{tool}: {shown_path} belongs to uid {}, expected {expected}: it is not run",
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

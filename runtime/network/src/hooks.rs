//! The operator's programs beside an action: `vnm/fw/post.d/*`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use remotes_effect::deadline::Deadline;
use remotes_effect::hooks::{Executor, Hook, Outcome};
use remotes_effect::network::names;
use remotes_effect::types::Failure;
use remotes_process::Process;
use remotes_process::report::{io_failure, shown};
use rustix::fs::Access;

/// What a hook finds in its environment, as far as the runtime has it: that of a login by ssh.
const ENVIRONMENT: [&str; 6] = ["SHELL", "LOGNAME", "HOME", "LANG", "USER", "ONE_LOCATION"];

/// Where a hook's programs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/sbin:/usr/sbin";

/// The executor of `hooks`.
#[derive(Debug, Clone, Copy)]
pub struct Hooks<'a> {
    folder: &'a Path,
    deadline: Deadline,
    output: usize,
}

impl<'a> Hooks<'a> {
    /// `folder` holds the driver's actions; a hook prints at most `output` bytes.
    pub fn new(folder: &'a Path, deadline: Deadline, output: usize) -> Self {
        Self { folder, deadline, output }
    }

    fn below(&self, action: &str) -> Result<PathBuf, Failure> {
        names::protocol(&action.replace('_', "-"))
            .map_err(|_| Failure::invalid(format!("hooks of {action:?}: expected the name of an action")))?;
        Ok(self.folder.join(format!("{action}.d")))
    }
}

impl Executor for Hooks<'_> {
    fn entries(&mut self, action: &str) -> Result<Vec<Hook>, Failure> {
        let folder = self.below(action)?;
        let fail = |error: std::io::Error| io_failure(&folder, "look for hooks", &error);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(fail(error)),
        };
        let mut hooks = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if names::hook(&name).is_err() {
                continue;
            }
            let path = entry.path();
            let executable = path.is_file() && rustix::fs::access(&path, Access::EXEC_OK).is_ok();
            hooks.push(Hook { name, executable });
        }
        hooks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(hooks)
    }

    fn run(&mut self, action: &str, name: &str, arguments: &[String], stdin: &[u8]) -> Result<Outcome, Failure> {
        names::hook(name)?;
        let path = self.below(action)?.join(name);
        let (program, script) = match needs_shell(&path) {
            true => (Path::new("/bin/sh"), Some(&path)),
            false => (path.as_path(), None),
        };
        let mut process = Process::new(program).variable("PATH", PATH).remove_variable("LC_ALL").limit(self.output);
        for variable in ENVIRONMENT {
            if let Some(value) = std::env::var_os(variable) {
                process = process.variable(variable, value);
            }
        }
        if let Some(home) = std::env::var_os("HOME").filter(|home| Path::new(home).is_dir()) {
            process = process.directory(home);
        }
        let outcome =
            process.arguments(script).arguments(arguments).input(stdin).run(self.deadline).map_err(|failure| {
                Failure { message: format!("hook {}: {}", shown(name), failure.message), ..failure }
            })?;
        Ok(Outcome { status: outcome.status, stdout: outcome.stdout, stderr: outcome.stderr })
    }
}

/// Whether a program is a script that does not say by what it is run: a shell runs those, as `execvp(3)` does.
fn needs_shell(program: &Path) -> bool {
    let mut beginning = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(2).read_to_end(&mut beginning));
    // Binary formats have other bytes than text in front.
    let is_text = beginning.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    read.is_ok() && beginning != b"#!" && is_text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    fn put(folder: &Path, name: &str, text: &str, mode: u32) {
        std::fs::write(folder.join(name), text).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn hooks_are_listed_by_name_and_run_without_a_shell() {
        let driver = tempfile::tempdir().unwrap();
        let folder = driver.path().join("post.d");
        std::fs::create_dir(&folder).unwrap();
        put(&folder, "20-b", "#!/bin/sh\nexit 3\n", 0o755);
        put(&folder, "10-a", "#!/bin/sh\necho \"$1|$#\"; cat; env | grep -c SECRET >&2\n", 0o755);
        put(&folder, "30-c", "", 0o644);
        put(&folder, ".hidden", "", 0o755);
        put(&folder, "40-d", "echo \"$0 $1\"\n", 0o755);
        put(&folder, "50-e", "", 0o755);
        let mut hooks = Hooks::new(driver.path(), Deadline::after(Duration::from_secs(30)), 1024);
        let listed: Vec<_> =
            hooks.entries("post").unwrap().into_iter().map(|hook| (hook.name, hook.executable)).collect();
        let executable = |name: &str| (name.to_owned(), name != "30-c");
        assert_eq!(listed, ["10-a", "20-b", "30-c", "40-d", "50-e"].map(executable));
        let outcome = hooks.run("post", "10-a", &["a b; id".into(), "$(id)".into()], b"stdin").unwrap();
        assert_eq!(String::from_utf8(outcome.stdout).unwrap(), "a b; id|2\nstdin");
        assert_eq!(hooks.run("post", "20-b", &[], b"").unwrap().status, 3);
        // Scripts that do not say what runs them.
        let outcome = hooks.run("post", "40-d", &["$(id)".into()], b"").unwrap();
        assert_eq!(String::from_utf8(outcome.stdout).unwrap(), format!("{} $(id)\n", folder.join("40-d").display()));
        assert_eq!(hooks.run("post", "50-e", &[], b"").unwrap().status, 0);
        assert_eq!(hooks.entries("clean").unwrap(), []);
        for (action, name) in [("post", "../10-a"), ("../x", "10-a"), ("post", ""), ("post", ".."), ("po/st", "x")] {
            assert!(hooks.run(action, name, &[], b"").is_err(), "{action} {name}");
        }
    }
}

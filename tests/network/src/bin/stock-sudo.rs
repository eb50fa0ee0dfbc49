//! `sudo` as the stock rules make it: it runs what they allow, with a bare environment, and writes down what
//! they do not.
//!
//! It is meant to be linked into a folder of its own. There, `refused` gets a line for each refusal (those of
//! root's effect server, which the stock rules do not know, go into `refused-servers`), `allowed` names one more
//! command that may be run without arguments, `trees` the remotes trees that stand for
//! that of the rules, one a line, and `kill-after` holds the number of commands
//! after which the program that started it is killed.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::sys::signal::{Signal, kill};
use nix::unistd::getppid;

const RULES: &str = include_str!("../../stock-sudoers.txt");
/// The program that finds a variable in its environment.
const ENTER: &str = "/vnm/ip_netns_exec";
const SECURE_PATH: &str = "/sbin:/bin:/usr/sbin:/usr/bin";

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let own = PathBuf::from(arguments.next().unwrap_or_default());
    let folder = own.parent().unwrap_or(Path::new("."));
    let arguments: Vec<String> = arguments.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        ["-n", "--", program] if std::fs::read_to_string(folder.join("allowed")).is_ok_and(|path| path == *program) => {
            Command::new(program)
        }
        ["-n", "--preserve-env=NETNS", program, rest @ ..]
            if program.ends_with(ENTER) && RULES.lines().any(|rule| allows(rule, &named(folder, program), rest)) =>
        {
            let mut command = Command::new(program);
            command.args(rest);
            return run(command, folder, std::env::var_os("NETNS"));
        }
        ["-n", program, rest @ ..] if RULES.lines().any(|rule| allows(rule, &named(folder, program), rest)) => {
            let path = SECURE_PATH.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
            let mut command = Command::new(path.unwrap_or_else(|| program.into()));
            command.args(rest);
            command
        }
        ["-n", "--", ..] => return refuse(&folder.join("refused-servers"), &words),
        _ => return refuse(&folder.join("refused"), &words),
    };
    run(command, folder, None)
}

fn allows(rule: &str, program: &str, arguments: &[&str]) -> bool {
    let words: Vec<&str> = rule.split(' ').collect();
    match words.as_slice() {
        [first, fixed @ .., "*"] => {
            *first == program && arguments.len() > fixed.len() && arguments[..fixed.len()] == *fixed
        }
        [first, fixed @ ..] => *first == program && arguments == fixed,
        [] => false,
    }
}

/// A program of a test's tree as the rules name it.
fn named(folder: &Path, program: &str) -> String {
    let trees = std::fs::read_to_string(folder.join("trees")).unwrap_or_default();
    let below = trees.lines().find_map(|tree| program.strip_prefix(tree).filter(|rest| rest.starts_with('/')));
    below.map_or_else(|| program.to_owned(), |below| format!("/var/tmp/one{below}"))
}

fn refuse(file: &Path, words: &[&str]) -> ExitCode {
    let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
    let _ = file.and_then(|mut file| writeln!(file, "{words:?}"));
    eprintln!("sudo: a password is required");
    ExitCode::FAILURE
}

/// Kills the caller when its time has come.
fn doom(folder: &Path) {
    let file = folder.join("kill-after");
    let Some(left) = std::fs::read_to_string(&file).ok().and_then(|text| text.parse::<u64>().ok()) else { return };
    match left {
        0 => {
            let _ = kill(getppid(), Signal::SIGKILL);
            std::process::exit(1);
        }
        _ => drop(std::fs::write(&file, (left - 1).to_string())),
    }
}

fn run(mut command: Command, folder: &Path, namespace: Option<OsString>) -> ExitCode {
    doom(folder);
    command.env_clear().env("PATH", SECURE_PATH).envs(namespace.map(|name| ("NETNS", name)));
    let error = command.exec();
    eprintln!("sudo: {command:?}: {error}");
    ExitCode::FAILURE
}

//! What a caller gets of an action: exit code, standard output, standard error, and how the front-end
//! understands them.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code; 128 and the signal's number where a signal ended it.
    pub code: i32,
    /// Standard output to the byte.
    pub stdout: String,
    /// Standard error to the byte.
    pub stderr: String,
}

/// Exit code by which the front-end knows that a script is missing: it would push the whole tree.
const MISSING: i32 = 42;

impl Outcome {
    /// Runs a command to its end with this text on a pipe as standard input.
    pub fn of(command: &mut Command, stdin: &str) -> Self {
        Self::timed(command, stdin).0
    }

    /// The same with the time it took.
    pub fn timed(command: &mut Command, stdin: &str) -> (Self, Duration) {
        let started = Instant::now();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut pipe = child.stdin.take().unwrap();
        let text = stdin.to_owned();
        // One that does not read it all is not waited for.
        let writer = std::thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        (Self::from(output), started.elapsed())
    }

    /// What holds for every action however it ends: the convention's form.
    ///
    /// A last line without its newline would make the front-end wait for ever, and a line that begins as
    /// one of its own marks would be taken for one.
    pub fn well_formed(&self) -> &Self {
        assert!(self.stderr.is_empty() || self.stderr.ends_with('\n'), "no newline at the end: {self:?}");
        assert_ne!(self.code, MISSING, "{self:?}");
        for line in self.stderr.lines() {
            for mark in ["ExitCode:", "EOF_ERR", "EOF_OUT", "ExitSSHCode:"] {
                assert!(!line.trim_start().starts_with(mark), "a forged mark: {self:?}");
            }
            let severe = ["ERROR:", "INFO:", "WARN:", "DEBUG:", "WARNING:"].iter().any(|mark| line.starts_with(mark));
            let severity = line.split_once(": ").map(|(severity, rest)| (severity, rest.split_once(": ")));
            let framed = matches!(severity, Some(("ERROR" | "INFO" | "WARN" | "DEBUG", Some(_))));
            assert!(!severe || framed, "not SEVERITY: ACTION: TEXT: {line:?}");
            assert!(!line.chars().any(char::is_control), "control characters: {line:?}");
        }
        assert!(!self.stdout.contains("EOF_OUT"), "a forged mark: {self:?}");
        self
    }

    /// Expects success with exactly this on standard output, and only log lines on standard error.
    pub fn succeeded(&self, stdout: &str) -> &Self {
        assert_eq!((self.well_formed().code, self.stdout.as_str()), (0, stdout), "{self:?}");
        assert_eq!(self.info(), "", "{self:?}");
        self
    }

    /// Expects failure with this exit code, nothing on standard output, and one line for the user.
    pub fn failed(&self, code: i32) -> &Self {
        assert_eq!((self.well_formed().code, self.stdout.as_str()), (code, ""), "{self:?}");
        let plain: Vec<_> = self.stderr.lines().filter(|line| log_line(line).is_none()).collect();
        assert_eq!(plain.len(), 1, "expected one line for the user: {self:?}");
        assert_eq!(self.stderr.lines().last(), plain.last().copied(), "the user's line comes last: {self:?}");
        self
    }

    /// The text that becomes the machine's ERROR: all lines that are no log lines, put together.
    pub fn info(&self) -> String {
        self.stderr.lines().filter(|line| log_line(line).is_none()).map(str::trim).collect()
    }

    /// Severity and text of the log lines.
    pub fn logs(&self) -> Vec<(&str, &str)> {
        self.stderr.lines().filter_map(log_line).collect()
    }

    /// Whether something is said anywhere on standard error.
    pub fn says(&self, text: &str) -> bool {
        self.stderr.contains(text)
    }
}

impl From<std::process::Output> for Outcome {
    fn from(output: std::process::Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal)).unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8 on stdout and stderr");
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// As the front-end's `^(ERROR|INFO|WARN|DEBUG):\s+(\d+)?\s*(.*)$`.
fn log_line(line: &str) -> Option<(&str, &str)> {
    let (severity, rest) = line.split_once(':')?;
    let known = matches!(severity, "ERROR" | "INFO" | "WARN" | "DEBUG");
    (known && rest.starts_with(char::is_whitespace))
        .then(|| (severity, rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()))
}

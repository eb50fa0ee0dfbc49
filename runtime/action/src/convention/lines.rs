//! Lines on standard error. The front-end looks for its own marks there, so that no text of a driver may
//! begin a line as one of them does.

use remotes_effect::log::Level;
use remotes_effect::text::{one_line, shortened};

/// Longest line in bytes; the front-end keeps lines in its database.
const LONGEST: usize = 8 * 1024;

/// Beginnings of lines that the front-end gives a meaning.
const MARKS: [&str; 8] = ["ExitCode:", "ERROR:", "INFO:", "WARN:", "DEBUG:", "WARNING:", "EOF_", "LOG "];

/// A log line: `ERROR: deploy: text`.
pub fn log_line(level: Level, action: &str, text: &str) -> String {
    let severity = match level {
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warning => "WARN",
        Level::Error => "ERROR",
    };
    format!("{severity}: {action}: {}\n", shortened(&one_line(text), LONGEST))
}

/// The plain line that becomes the user's error text.
pub fn failure_line(message: &str) -> String {
    let line = shortened(&one_line(message), LONGEST);
    match MARKS.iter().any(|mark| line.trim_start().to_ascii_uppercase().starts_with(&mark.to_ascii_uppercase())) {
        true => format!("({})\n", line.trim()),
        false => format!("{line}\n"),
    }
}

//! What people and programs read: tables, or JSON with `--json`. All of it goes through [`print`].

use std::io::{ErrorKind, Write as _, stderr, stdout};

use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use remotes_effect::text::one_line;
use serde::Serialize;

/// Writes to standard output. Where nobody reads any more there is nobody to tell; a full disk is an error.
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

/// Says on standard error what is wrong, in one line: it may be about a stranger's file, and in its words.
pub fn complain(message: &str) {
    // Where that cannot be written either, the exit code is all there is.
    let _ = writeln!(stderr(), "remotes: {}", one_line(message));
}

/// Prints rows as JSON or as a table; `row` makes the table's cells of one.
pub fn list<T: Serialize>(rows: &[T], json: bool, head: &[&str], row: impl Fn(&T) -> Vec<String>) -> Result<()> {
    if json {
        return print_json(&rows);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for item in rows {
        // What is listed may come from a stranger's component.
        table.add_row(row(item).iter().map(|cell| one_line(cell)));
    }
    // Without borders there is nothing to keep a distance from.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print(format!("{}\n", table.trim_fmt()))
}

/// Prints a value as JSON.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    print(serde_json::to_string_pretty(value)? + "\n")
}

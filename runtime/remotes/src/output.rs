//! What people and programs read: tables, or JSON with `--json`.

use anyhow::Result;
use comfy_table::{Table, presets};
use remotes_effect::text::one_line;
use serde::Serialize;

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
    println!("{}", table.trim_fmt());
    Ok(())
}

/// Prints a value as JSON.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

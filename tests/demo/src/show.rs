//! The journal of an action as a table that a person likes to read.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use remotes_effect::text::{one_line, shortened};
use serde_json::Value;

/// Prints what the journal gained since `seen` lines; returns how many lines it has now.
pub fn action(name: &str, journal: &Path, seen: usize, elapsed: Duration, stdout: &str, stderr: &str) -> Result<usize> {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    println!("\nvmm/kvm/{name}  {:.1} ms", elapsed.as_secs_f64() * 1e3);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for pair in group(lines.get(seen..).unwrap_or_default()) {
        table.add_row(pair);
    }
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{}", table.trim_fmt());
    for line in stderr.lines() {
        println!("  stderr: {}", one_line(line));
    }
    if !stdout.trim().is_empty() {
        println!("  stdout: {}", one_line(stdout.trim()));
    }
    Ok(lines.len())
}

/// One row an effect, from the line before and the line after it. Runs of the same question, as polling
/// asks them, become one row.
fn group(lines: &[Value]) -> Vec<[String; 4]> {
    let mut rows: Vec<([String; 4], f64, usize)> = Vec::new();
    let mut asked = String::new();
    for line in lines {
        if let Some(arguments) = line.get("asked") {
            asked = arguments_of(arguments);
            continue;
        }
        let effect = line.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let milliseconds = line.get("microseconds").and_then(Value::as_f64).unwrap_or_default() / 1e3;
        let answer = match line.get("failure") {
            Some(failure) => failure.get("kind").and_then(Value::as_str).unwrap_or("failure").to_owned(),
            None => answer_of(line.get("answer")),
        };
        match rows.last_mut() {
            Some((row, sum, times)) if row[0] == effect && row[1] == asked && row[2] == answer => {
                *sum += milliseconds;
                *times += 1;
            }
            _ => rows.push(([effect, asked.clone(), answer, String::new()], milliseconds, 1)),
        }
    }
    rows.into_iter()
        .map(|([effect, asked, answer, _], sum, times)| {
            let effect = if times > 1 { format!("{effect} ×{times}") } else { effect };
            [format!("  {effect}"), asked, answer, format!("{sum:.2} ms")]
        })
        .collect()
}

fn arguments_of(value: &Value) -> String {
    let Value::Object(map) = value else { return String::new() };
    let shown = map.iter().filter(|(key, _)| *key != "on").map(|(key, value)| match value {
        Value::Number(mode) if key == "mode" => format!("mode {:04o}", mode.as_u64().unwrap_or_default()),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(place) => place.get("path").and_then(Value::as_str).unwrap_or_default().to_owned(),
        other => other.to_string(),
    });
    shortened(&one_line(&shown.collect::<Vec<_>>().join(" ")), 70)
}

fn answer_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "done".to_owned(),
        Some(Value::String(text)) => shortened(&one_line(text), 30),
        Some(Value::Object(map)) => match map.get("state").or_else(|| map.get("kind")) {
            Some(Value::String(state)) => state.clone(),
            _ => "done".to_owned(),
        },
        Some(other) => shortened(&other.to_string(), 30),
    }
}

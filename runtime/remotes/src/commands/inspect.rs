//! `remotes inspect`: a component's outside, without running it.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use remotes_effect::policy::Limits;
use remotes_effect::text::one_line;
use remotes_sandbox::cache::digest;
use remotes_sandbox::inspect::{Inspection, Interface, inspect};
use serde::Serialize;

use super::compile;
use crate::cli::Inspect;
use crate::output;

#[derive(Serialize)]
struct Report {
    component: String,
    sha256: String,
    bytes: usize,
    encoded_from_core_module: bool,
    #[serde(flatten)]
    inspection: Inspection,
}

pub fn run(arguments: &Inspect, json: bool) -> Result<ExitCode> {
    let path = arguments.component.display().to_string();
    let bytes = compile::read(&arguments.component)?;
    let compiled = compile::component(&bytes).with_context(|| path.clone())?;
    let engine = remotes_sandbox::engine(&Limits::default())?;
    let inspection = inspect(&engine, &compiled.load(&engine)?);
    let component = compiled.component;
    let report = Report {
        component: path,
        sha256: digest(&component),
        bytes: component.len(),
        encoded_from_core_module: component != bytes,
        inspection,
    };
    match json {
        true => output::print_json(&report)?,
        false => output::print(in_words(&report)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(report: &Report) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let inspection = &report.inspection;
    writeln!(out, "component  {}", report.component)?;
    writeln!(out, "sha256     {}", report.sha256)?;
    let encoded = if report.encoded_from_core_module { ", encoded from a core module" } else { "" };
    writeln!(out, "size       {} bytes{encoded}", report.bytes)?;
    match (&inspection.subsystems[..], &inspection.contract) {
        ([], _) => writeln!(out, "driver     of no subsystem: it exports no interface of one:driver")?,
        (subsystems, contract) => {
            let contract = contract.as_deref().unwrap_or("?");
            writeln!(out, "driver     of {}, contract {contract}", subsystems.join(", "))?;
        }
    }
    let wasi = if inspection.wasi { "imported; it gets one with nothing in it" } else { "not imported" };
    writeln!(out, "WASI       {wasi}")?;
    if !inspection.not_offered.is_empty() {
        let imports = one_line(&inspection.not_offered.join(", "));
        writeln!(out, "cannot run it imports what no driver is offered: {imports}")?;
    }
    for (title, interfaces) in [("imports", &inspection.imports), ("exports", &inspection.exports)] {
        writeln!(out, "{title}")?;
        for Interface { name, functions } in interfaces {
            writeln!(out, "  {}", one_line(name))?;
            functions.iter().try_for_each(|function| writeln!(out, "    {}", one_line(function)))?;
        }
    }
    Ok(out)
}

//! `remotes inspect`: a component's outside, without running it.

use std::process::ExitCode;

use anyhow::{Context, Result};
use remotes_effect::policy::Limits;
use remotes_effect::text::one_line;
use remotes_sandbox::cache::digest;
use remotes_sandbox::compile;
use remotes_sandbox::inspect::{Inspection, Interface, inspect};
use serde::Serialize;

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
    let bytes = std::fs::read(&arguments.component).with_context(|| path.clone())?;
    let component = compile::component(&bytes).with_context(|| path.clone())?;
    let engine = remotes_sandbox::engine(&Limits::default())?;
    let compiled = compile::compile(&engine, &component).with_context(|| path.clone())?;
    let report = Report {
        component: path,
        sha256: digest(&component),
        bytes: component.len(),
        encoded_from_core_module: component != bytes,
        inspection: inspect(&engine, &compiled),
    };
    match json {
        true => output::print_json(&report)?,
        false => print(&report),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(report: &Report) {
    let inspection = &report.inspection;
    println!("component  {}", report.component);
    println!("sha256     {}", report.sha256);
    println!(
        "size       {} bytes{}",
        report.bytes,
        if report.encoded_from_core_module { ", encoded from a core module" } else { "" }
    );
    match (&inspection.subsystems[..], &inspection.contract) {
        ([], _) => println!("driver     of no subsystem: it exports no interface of one:driver"),
        (subsystems, contract) => {
            println!("driver     of {}, contract {}", subsystems.join(", "), contract.as_deref().unwrap_or("?"));
        }
    }
    println!(
        "WASI       {}",
        if inspection.wasi { "imported; it gets one with nothing in it" } else { "not imported" }
    );
    print_interfaces("imports", &inspection.imports);
    print_interfaces("exports", &inspection.exports);
}

fn print_interfaces(title: &str, interfaces: &[Interface]) {
    println!("{title}");
    for interface in interfaces {
        println!("  {}", one_line(&interface.name));
        for function in &interface.functions {
            println!("    {}", one_line(function));
        }
    }
}

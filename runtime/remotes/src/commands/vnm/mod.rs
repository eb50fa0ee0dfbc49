//! `remotes vnm`: the virtual networks of this host, as its drivers left them. Nothing is changed.

mod asked;
mod deployed;
mod dot;
mod filter;
mod flows;
mod host;
mod look;
mod picture;
mod reach;
mod seen;
mod switch;
mod tree;
mod vlans;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Show, Vnm};
use crate::output;

/// Runs a command.
pub fn run(command: &Vnm, json: bool) -> Result<ExitCode> {
    match command {
        Vnm::Show(arguments) => show(arguments, json),
    }
}

fn show(arguments: &Show, json: bool) -> Result<ExitCode> {
    let host = picture::Host::of(look::look(&arguments.datastores)?);
    match (json, arguments.dot) {
        (true, _) => output::print_json(&host)?,
        (false, true) => output::print(dot::graph(&host))?,
        (false, false) => output::print(tree::tree(&host))?,
    }
    Ok(ExitCode::SUCCESS)
}

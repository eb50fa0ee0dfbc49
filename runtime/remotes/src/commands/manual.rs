//! Completions and man pages, made from the command line's own description.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory as _;

use crate::cli::{Cli, Completions, Man};
use crate::output;

pub fn completions(arguments: &Completions) -> Result<ExitCode> {
    // The generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "remotes", &mut script);
    output::print(script)?;
    Ok(ExitCode::SUCCESS)
}

pub fn man(arguments: &Man) -> Result<ExitCode> {
    let dir = &arguments.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(|| format!("cannot write into {}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

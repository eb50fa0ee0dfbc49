//! `remotes tree`: drivers in and out of a remotes tree.

mod compile;
mod driver;
mod install;
mod place;
mod remove;
mod stock;
mod stub;
mod verify;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli;

pub fn run(command: &cli::Tree, json: bool) -> Result<ExitCode> {
    match command {
        cli::Tree::Install(arguments) => install::run(arguments, json),
        cli::Tree::Remove(arguments) => remove::run(arguments, json),
        cli::Tree::Verify { dir } => verify::run(dir, json),
        cli::Tree::Compile { folder } => compile::for_host(folder),
        cli::Tree::Precompile { component, code } => compile::one(component, code),
    }
}

//! `remotes tree`: drivers in and out of a remotes tree.

mod driver;
mod install;
pub mod place;
mod policies;
mod programs;
mod remove;
mod stock;
pub mod strays;
mod stub;
pub mod unfinished;
mod verify;

use std::process::ExitCode;

use anyhow::Result;

use super::{Intent, act_as_owner, compile};
use crate::cli;

pub fn run(command: &cli::Tree, json: bool) -> Result<ExitCode> {
    match command {
        cli::Tree::Install(arguments) => {
            act_as_owner(&arguments.dir, Intent::Make)?;
            install::run(arguments, json)
        }
        cli::Tree::Remove(arguments) => {
            act_as_owner(&arguments.dir, Intent::Change)?;
            remove::run(arguments, json)
        }
        cli::Tree::Verify { dir } => {
            act_as_owner(dir, Intent::Look)?;
            verify::run(dir, json)
        }
    }
}

/// What other programs of ours have done.
pub fn internal(command: &cli::InternalTree) -> Result<ExitCode> {
    match command {
        cli::InternalTree::Compile { folder } => compile::for_host(folder),
        cli::InternalTree::Precompile { .. } => compile::one(),
    }
}

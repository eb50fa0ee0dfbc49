//! `remotes`: what operators and authors of drivers type. Actions themselves are started by oned through
//! the stubs of a remotes tree, which run the smaller `remotes-action`.
#![forbid(unsafe_code)]
// Both panic where nobody reads, or a disk is full: everything goes through `output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod commands;
mod output;
mod usage;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use cli::{Cli, Command, Internal};
use usage::Usage;

fn main() -> ExitCode {
    remotes_action::diagnostics::start();
    let result = match Internal::try_parse() {
        Ok(Internal::Tree(command)) => commands::tree::internal(&command),
        Err(_) => run(&Cli::parse()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            if error.is::<Usage>() { ExitCode::from(usage::CODE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let json = cli.json();
    if json && !cli.command.lists() {
        return Err(Usage::error(
            "--json: this command lists nothing that could be JSON; of `exec`, only --dry-run does",
        ));
    }
    match &cli.command {
        Command::Exec(arguments) => commands::exec::run(arguments, json),
        Command::Replay(arguments) => commands::replay::run(arguments),
        Command::List(arguments) => commands::list::run(arguments, json),
        Command::Inspect(arguments) => commands::inspect::run(arguments, json),
        Command::Policy(group) => commands::policy::run(&group.command, json),
        Command::Tree(group) => commands::tree::run(&group.command, json),
        Command::Vnm(group) => commands::vnm::run(&group.command, json),
        Command::Completions(arguments) => commands::manual::completions(arguments),
        Command::Man(arguments) => commands::manual::man(arguments),
    }
}

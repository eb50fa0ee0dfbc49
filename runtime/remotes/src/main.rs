//! `remotes`: what operators and authors of drivers type. Actions themselves are started by oned through
//! the stubs of a remotes tree, which run the smaller `remotes-action`.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

fn main() -> ExitCode {
    remotes_action::diagnostics::start();
    let cli = Cli::parse();
    // A list into `head` ends quietly; an action goes on to its end whoever has stopped reading.
    if !matches!(cli.command, Command::Exec(_)) {
        sigpipe::reset();
    }
    let result = match cli.command {
        Command::Exec(arguments) => commands::exec::run(&arguments, cli.json),
        Command::Replay(arguments) => commands::replay::run(&arguments),
        Command::List(arguments) => commands::list::run(&arguments, cli.json),
        Command::Inspect(arguments) => commands::inspect::run(&arguments, cli.json),
        Command::Policy(command) => commands::policy::run(&command, cli.json),
        Command::Tree(command) => commands::tree::run(&command, cli.json),
        Command::Vnm(command) => commands::vnm::run(&command, cli.json),
        Command::Completions(arguments) => commands::manual::completions(&arguments),
        Command::Man(arguments) => commands::manual::man(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("remotes: {error:#}");
            ExitCode::FAILURE
        }
    }
}

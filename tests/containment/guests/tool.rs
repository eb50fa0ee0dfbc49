//! Runs the tool that it is given: a line an argument.

use remotes_sdk::log::{Level, write};
use remotes_sdk::{Failure, here, tools};

containment_guests::reboot!(run);

fn run(tool: &str, stdin: &str, arguments: &str) -> Result<(), Failure> {
    let arguments: Vec<String> = arguments.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let outcome = tools::run(&here(), tool, &arguments, stdin.as_bytes())?;
    write(Level::Info, &format!("{}: {}", outcome.status, String::from_utf8_lossy(&outcome.stdout)));
    Ok(())
}

//! Running the operator's programs.

use remotes_sdk::{Failure, Node, error, here, info, tools};

/// Runs a tool where there is one: none where the policy does not name it, it is not installed, or
/// sudo does not let it run. What it says on its standard error is logged. True: it ended well.
pub fn run(tool: &str, arguments: &[String], stdin: &str) -> Result<Option<bool>, Failure> {
    run_on(&here(), tool, arguments, stdin)
}

/// The same on any machine.
pub fn run_on(on: &Node, tool: &str, arguments: &[String], stdin: &str) -> Result<Option<bool>, Failure> {
    if !tools::available(on, tool)? {
        return Ok(None);
    }
    let outcome = tools::run(on, tool, arguments, stdin.as_bytes())?;
    let well = outcome.status == 0;
    for line in String::from_utf8_lossy(&outcome.stderr).lines().filter(|line| !line.trim().is_empty()) {
        match well {
            true => info!("{tool}: {line}"),
            false => error!("{tool}: {line}"),
        }
    }
    if !well {
        error!("{tool} {} ended with status {}", arguments.join(" "), outcome.status);
    }
    Ok(Some(well))
}

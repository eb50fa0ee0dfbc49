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
    Ok(Some(heard(on, tool, arguments, stdin)?.0))
}

/// Runs one that is there and whose status says little: it ended well only if it has not complained either. What
/// sudo and the shell say of themselves is no complaint of its.
pub fn ends_without_complaint(tool: &str, arguments: &[String]) -> Result<bool, Failure> {
    let (well, said) = heard(&here(), tool, arguments, "")?;
    let complains =
        |line: &str| !line.trim().is_empty() && !line.starts_with("sudo:") && !line.contains("warning: setlocale");
    Ok(well && !said.lines().any(complains))
}

/// Whether it ended well, and what it said on its standard error.
fn heard(on: &Node, tool: &str, arguments: &[String], stdin: &str) -> Result<(bool, String), Failure> {
    let outcome = tools::run(on, tool, arguments, stdin.as_bytes())?;
    let well = outcome.status == 0;
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        match well {
            true => info!("{tool}: {line}"),
            false => error!("{tool}: {line}"),
        }
    }
    if !well {
        error!("{tool} {} ended with status {}", arguments.join(" "), outcome.status);
    }
    Ok((well, said))
}

//! The operator's programs beside an action.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_sdk::{Failure, debug, error, hooks, info, warning};

/// Bytes of one hook's output that go to the log: an action that logs without end is ended.
const MOST_LOGGED: usize = 32 * 1024;

/// What a hook reads: the document as oned sent it, in base64 on one line.
pub fn message(document: &str) -> Vec<u8> {
    (STANDARD.encode(document) + "\n").into_bytes()
}

/// The action's arguments as they were given: those at the end that were left out do not come as empty.
fn given(arguments: &[&str]) -> Vec<String> {
    let count = arguments.iter().rposition(|argument| !argument.is_empty()).map_or(0, |last| last + 1);
    arguments[..count].iter().map(|argument| (*argument).to_owned()).collect()
}

/// Runs the hooks of an action that succeeded. What they print goes to the log; the first that fails
/// fails the action.
pub fn run(action: &str, arguments: &[&str], document: &str) -> Result<(), Failure> {
    for hook in hooks::entries(action)?.into_iter().filter(|hook| hook.executable) {
        info!("Running {action}.d/{}", hook.name);
        let outcome = hooks::run(action, &hook.name, &given(arguments), &message(document))?;
        log(&outcome.stdout);
        if outcome.status != 0 {
            return Err(failed(action, &hook.name, outcome.status, &outcome.stderr));
        }
    }
    Ok(())
}

/// Runs the hooks of the driver that has nothing else: up to the first file that is no program. What they
/// print is what the action prints.
pub fn run_alone(action: &str, arguments: &[&str], document: &str) -> Result<String, Failure> {
    let mut printed = String::new();
    for hook in hooks::entries(action)? {
        if !hook.executable {
            break;
        }
        let outcome = hooks::run(action, &hook.name, &given(arguments), &message(document))?;
        printed += &String::from_utf8_lossy(&outcome.stdout);
        if outcome.status != 0 {
            return Err(failed(action, &hook.name, outcome.status, &outcome.stderr));
        }
        String::from_utf8_lossy(&outcome.stderr).lines().for_each(report);
    }
    Ok(printed)
}

fn log(printed: &[u8]) {
    let text = String::from_utf8_lossy(printed);
    let (mut logged, mut left_out) = (0, 0);
    for line in text.lines() {
        match logged + line.len() <= MOST_LOGGED {
            true => {
                logged += line.len() + 1;
                info!("{line}");
            }
            false => left_out += 1,
        }
    }
    if left_out > 0 {
        warning!("{left_out} lines that the hook printed are left out here");
    }
}

/// Logs a line that a hook printed as what the hook says that it is.
fn report(line: &str) {
    match line.split_once(':').map(|(severity, text)| (severity, text.trim_start())) {
        Some(("ERROR", text)) => error!("{text}"),
        Some(("WARNING", text)) => warning!("{text}"),
        Some(("DEBUG", text)) => debug!("{text}"),
        Some(("INFO", text)) => info!("{text}"),
        _ => info!("{line}"),
    }
}

fn failed(action: &str, name: &str, status: i32, stderr: &[u8]) -> Failure {
    let said = String::from_utf8_lossy(stderr);
    Failure::failed(format!("hook {action}.d/{name} failed (exit status {status}): {}", said.trim()))
}

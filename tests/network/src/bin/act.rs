//! `act CASE WAY LOCKS [SUDO]`: the action of a recorded case in a process of its own, to be killed. LOCKS and
//! SUDO are the folders of those of the test that started it.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use remotes_network_tests::{By, Case, Sudo};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, way, locks, sudo @ ..] = arguments.as_slice() else { return ExitCode::from(2) };
    let Some(by) = By::ALL.into_iter().find(|by| format!("{by:?}") == *way) else { return ExitCode::from(2) };
    let case = Case::read(case).by(by);
    let mut grounds = case.grounds();
    grounds.share(Path::new(locks));
    if let Some(sudo) = sudo.first() {
        grounds.set_sudo(Sudo::there(Path::new(sudo)));
    }
    let outcome = grounds.call(case.driver(), case.call());
    if !matches!(outcome.result, Some(Ok(_))) {
        eprintln!("{}: {outcome:?}", case.name());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

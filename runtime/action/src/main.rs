//! `remotes-action SUBSYSTEM/DRIVER/ACTION [ARG…]`: what every stub of a remotes tree starts.
//!
//! It holds no compiler, no WASI and no parser of options: an action is one short process.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use remotes_action::convention::Printed;
use remotes_action::prepare::{PrepareError, prepare, standard_input};
use remotes_action::run::{emit, machine, policy_journal, printed, run};
use remotes_action::tree::{Identity, Tree, is_stub};
use remotes_action::{diagnostics, prepare::Prepared};
use remotes_sandbox::cache::manifest;

fn main() -> ExitCode {
    diagnostics::start();
    let arguments: Result<Vec<String>, OsString> = std::env::args_os().skip(1).map(OsString::into_string).collect();
    let mut arguments = match arguments {
        Ok(arguments) => arguments.into_iter(),
        // With its bytes replaced it could be another machine's name.
        Err(argument) => return fail(&format!("remotes-action: an argument is not UTF-8: {argument:?}")),
    };
    let Some(name) = arguments.next() else {
        return fail("remotes-action: expected SUBSYSTEM/DRIVER/ACTION and the action's arguments");
    };
    let tree = match Tree::of_program() {
        Ok(tree) => tree,
        Err(error) => return fail(&format!("remotes-action: cannot find the remotes tree: {error}")),
    };
    // What a runtime on another host starts, by way of ssh.
    let served = match name.as_str() {
        "serve" => Some(remotes_host::serve(tree.root())),
        "send" => Some(remotes_host::transfer::send()),
        "receive" => Some(remotes_host::transfer::receive()),
        _ => None,
    };
    match served {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => return fail(&format!("remotes-action {name}: {error}")),
        None => {}
    }
    match action(&tree, &name, arguments.collect()) {
        Ok(printed) => ExitCode::from(emit(&printed)),
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    ExitCode::from(emit(&Printed::failed(message, 1)))
}

fn action(tree: &Tree, name: &str, argv: Vec<String>) -> Result<Printed, String> {
    let identity: Identity = name.parse().map_err(|error| format!("{error}"))?;
    let stdin = standard_input().map_err(|error| error.to_string())?;
    let prepared = match prepare(tree, &identity, &argv, &stdin) {
        Ok(prepared) => prepared,
        Err(error) => {
            return Err(match given_back(tree, &identity) {
                Some(path) => start(&identity, Command::new(path).args(argv), &stdin),
                None => explain(&identity, &error),
            });
        }
    };
    if prepared.manifest.wasi {
        // It runs in the bigger program, which links WASI.
        let mut program = Command::new(tree.program("remotes"));
        return Err(start(&identity, program.arg("exec").arg(name).arg("--").args(argv), &stdin));
    }
    Ok(perform(tree, &identity, &prepared))
}

fn explain(identity: &Identity, error: &PrepareError) -> String {
    tracing::error!(%identity, %error, "the action cannot begin");
    match error {
        // These begin with the action.
        PrepareError::Convention(error) => error.to_string(),
        error => format!("{}: {error}", identity.action),
    }
}

fn perform(tree: &Tree, identity: &Identity, prepared: &Prepared) -> Printed {
    let journal = policy_journal(&prepared.policy, identity);
    let outcome = run(prepared, journal, machine(tree, identity, prepared));
    if let Err(error) = &outcome.result {
        tracing::error!(%identity, %error, "the driver did not come to a reply");
    }
    printed(&prepared.call, &outcome.result)
}

/// What stands in the place of an action whose driver was taken out while the action was starting.
fn given_back(tree: &Tree, identity: &Identity) -> Option<PathBuf> {
    let Identity { subsystem, driver, action } = identity;
    let parts = [tree.driver(subsystem, driver).join(manifest::FILE), tree.policy(subsystem, driver)];
    if parts.iter().all(|part| part.exists()) {
        return None;
    }
    let path = tree.actions(subsystem, driver).join(action);
    let content = std::fs::read(&path).ok()?;
    (!is_stub(&content)).then_some(path)
}

/// Goes on as another program, which gets the action's standard input. Returns why that cannot be.
fn start(identity: &Identity, program: &mut Command, stdin: &[u8]) -> String {
    match memory_file(stdin) {
        Ok(file) => {
            let error = program.stdin(file).exec();
            format!("{}: {}: {error}", identity.action, program.get_program().display())
        }
        Err(error) => format!("{}: standard input cannot be handed over: {error}", identity.action),
    }
}

/// Standard input was read already: the next program gets it from memory.
fn memory_file(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

//! `remotes-net`: serves effects on the network as root until the client goes.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use remotes_net::{BOUNDS, private, serve};

/// Root's own folder for the locks between changes. Whoever could open one could hold it.
const TURNS: &str = "/run/remotes-net";

fn main() -> ExitCode {
    if std::env::args_os().len() != 1 {
        eprintln!(
            "usage: remotes-net\nChanges links and packet filter for `remotes`, which starts it by sudo; not meant to be \
             started by hand. Bounds: {BOUNDS}."
        );
        return ExitCode::from(2);
    }
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let turns = Path::new(TURNS);
    match private(turns).and_then(|()| serve(Path::new(BOUNDS), turns, &mut input, &mut output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("remotes-net: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Root's effect server with bounds and lock beside it instead of in the system's folders.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let program = std::env::current_exe().unwrap_or_default();
    let (bounds, turns) = (program.with_file_name("remotes-net.toml"), program.with_file_name(""));
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match remotes_net::serve(&bounds, &turns, &mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("remotes-net: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `remotes-libvirt URI`: serves libvirt effects on standard input and output until the client goes.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(uri), None) = (arguments.next().filter(|uri| !uri.starts_with('-')), arguments.next()) else {
        eprintln!("usage: remotes-libvirt URI\nServes libvirt effects of `remotes`; not meant to be started by hand.");
        return ExitCode::from(2);
    };
    match remotes_libvirt::run(&uri) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("remotes-libvirt: {error}");
            ExitCode::FAILURE
        }
    }
}

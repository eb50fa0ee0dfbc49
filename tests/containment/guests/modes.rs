//! Asks for permission bits that make files dangerous.

use containment_guests::tell;
use remotes_sdk::{Failure, at, filesystem};

containment_guests::reboot!(set);

fn set(_: &str, _: &str, action: &str) -> Result<(), Failure> {
    for mode in [0o4755, 0o2755, 0o1777, 0o10_0644, u32::MAX] {
        tell("set-mode", filesystem::set_mode(&at(action), mode));
        tell("write", filesystem::write(&at(action), b"#!", mode));
        tell("make-directory", filesystem::make_directory(&at(format!("{action}.d")), mode));
    }
    Ok(())
}

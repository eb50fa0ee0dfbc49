//! Makes images at every path that it is given, and on top of what is there.

use containment_guests::tell;
use remotes_sdk::image::{self, Backing};
use remotes_sdk::{Failure, at};

containment_guests::reboot!(make);

fn make(inside: &str, _: &str, paths: &str) -> Result<(), Failure> {
    for path in paths.split('\n') {
        tell("create", image::create(&at(path), "qcow2", Some(1 << 20), None));
        for format in ["raw", "qcow2"] {
            let backing = Backing { path: path.to_owned(), format: format.to_owned() };
            tell("create", image::create(&at(inside), "qcow2", None, Some(&backing)));
        }
    }
    Ok(())
}

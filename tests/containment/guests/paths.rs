//! Tries one operation on every path that it is given.

use containment_guests::tell;
use remotes_sdk::filesystem as fs;
use remotes_sdk::{Failure, at};

containment_guests::reboot!(escape);

fn escape(operation: &str, inside: &str, paths: &str) -> Result<(), Failure> {
    let inside = at(inside);
    for path in paths.split('\n').map(at) {
        match operation {
            "stat" => tell(operation, fs::stat(&path)),
            "read" => tell(operation, fs::read(&path)),
            "entries" => tell(operation, fs::entries(&path)),
            "write" => tell(operation, fs::write(&path, b"overwritten", 0o644)),
            "make-directory" => tell(operation, fs::make_directory(&path, 0o755)),
            "read-link" => tell(operation, fs::read_link(&path)),
            "rename-to" => tell(operation, fs::rename(&inside, &path)),
            "rename-from" => tell(operation, fs::rename(&path, &inside)),
            "copy-to" => tell(operation, fs::copy(&inside, &path)),
            "copy-from" => tell(operation, fs::copy(&path, &inside)),
            "set-mode" => tell(operation, fs::set_mode(&path, 0o777)),
            "remove" => tell(operation, fs::remove(&path, true)),
            _ => return Err(Failure::unsupported(operation)),
        }
    }
    Ok(())
}

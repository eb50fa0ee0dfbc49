//! Programs of this machine in an archive.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Archive;

/// The place of a file once the links among its folders are followed: `/usr/bin/sh` of `/bin/sh`.
///
/// # Panics
/// Where there is no such folder.
pub fn place(path: &Path) -> PathBuf {
    path.parent().unwrap().canonicalize().unwrap().join(path.file_name().unwrap())
}

/// A program by its path, with its libraries, at the same path.
pub fn program(image: &mut Archive, path: &Path) {
    libraries(image, path);
    image.copy(path, &place(path));
}

/// The libraries of a program, and its loader.
///
/// # Panics
/// Where `ldd` fails.
pub fn libraries(image: &mut Archive, program: &Path) {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stdout));
    for word in String::from_utf8_lossy(&output.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
        let path = Path::new(word);
        image.copy(path, &place(path));
    }
}

//! What `make build` and `make setup` put in place.

use std::path::{Path, PathBuf};

/// A folder that the Makefile names by a variable, or that lies where it puts it.
pub fn build_folder(variable: &str, name: &str) -> PathBuf {
    let target = || {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from)
    };
    std::env::var_os(variable).map_or_else(|| target().join(name), PathBuf::from)
}

/// The folder that `make build` staged the programs and drivers in.
///
/// # Panics
/// Where it is missing.
pub fn dist() -> PathBuf {
    let path = build_folder("REMOTES_DIST", "dist");
    let staged = path.join("bin/remotes").is_file();
    assert!(
        staged,
        "{}: there are no staged programs; run `make build`, or name their folder in REMOTES_DIST",
        path.display()
    );
    path.canonicalize().unwrap_or(path)
}

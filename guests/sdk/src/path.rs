//! Places and the paths in them. Paths are OpenNebula's: absolute, often with `//` inside.

use crate::{Node, Place};

/// The machine that runs the driver.
pub fn here() -> Node {
    Node::Here
}

/// A path on the machine that runs the driver.
pub fn at(path: impl Into<String>) -> Place {
    Place { on: Node::Here, path: path.into() }
}

/// The path of the folder that holds `path`, as `dirname` says it: `/a/b//c/` is in `/a/b`.
pub fn parent(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    match path.rfind('/') {
        Some(slash) => match path[..slash].trim_end_matches('/') {
            "" => "/",
            parent => parent,
        },
        None => ".",
    }
}

/// The last component of a path, as `basename` says it.
pub fn name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rfind('/').map_or(path, |slash| &path[slash + 1..])
}

/// The path with every run of slashes as one, and none at its end: for comparing and for patterns.
pub fn clean(path: &str) -> String {
    let mut clean = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !clean.ends_with('/') {
            clean.push(c);
        }
    }
    if clean.len() > 1 && clean.ends_with('/') {
        clean.pop();
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_as_dirname_and_basename_do() {
        for (path, folder, last) in [
            ("/var/lib/one//datastores/0/23/checkpoint", "/var/lib/one//datastores/0/23", "checkpoint"),
            ("/var/lib/one//datastores", "/var/lib/one", "datastores"),
            ("/a/b//c/", "/a/b", "c"),
            ("/a", "/", "a"),
            ("//a", "/", "a"),
            ("a", ".", "a"),
        ] {
            assert_eq!((parent(path), name(path)), (folder, last), "{path}");
        }
    }

    #[test]
    fn a_clean_path_has_single_slashes() {
        for (path, expected) in [("/a//b///c/", "/a/b/c"), ("/", "/"), ("//", "/"), ("a", "a"), ("", "")] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}

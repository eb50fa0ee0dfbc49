//! The hostile drivers.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use remotes_sandbox::compile;

/// One hostile driver.
#[derive(Debug, Clone, Copy)]
pub struct Guest {
    name: &'static str,
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    /// Built by `make hostile`.
    Rust,
    /// The text of a component; lines `;;include NAME` stand for the fragments of that name.
    Text(&'static str),
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

impl Guest {
    /// A component given as text, for hostile things that are generated.
    pub const fn text(name: &'static str, text: &'static str) -> Self {
        Self { name, source: Source::Text(text) }
    }

    /// Whether it is small, and says exactly what its component holds.
    pub fn is_text(&self) -> bool {
        matches!(self.source, Source::Text(_))
    }

    /// Its file's name without extension.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its component.
    ///
    /// # Panics
    /// Where it is not built, or older than its source.
    pub fn component(&self) -> Vec<u8> {
        match self.source {
            Source::Rust => compile::component(&std::fs::read(self.built()).unwrap()).unwrap(),
            Source::Text(text) => wat::parse_str(expand(text)).unwrap_or_else(|error| panic!("{}: {error}", self.name)),
        }
    }

    /// The core module that was built for it.
    fn built(&self) -> PathBuf {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        let target = package.join("../..").join(target);
        let module = target.join(format!("wasm32-unknown-unknown/guest/examples/{}.wasm", self.name));
        let source = package.join(format!("guests/{}.rs", self.name));
        let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        let built = modified(&module);
        assert!(
            built > Some(SystemTime::UNIX_EPOCH) && built >= modified(&source),
            "{} is missing or older than {}: run `make hostile`",
            module.display(),
            source.display()
        );
        module
    }
}

/// Puts the fragments in.
pub fn expand(text: &str) -> String {
    let mut expanded = String::new();
    for line in text.lines() {
        expanded.push_str(match line.trim() {
            ";;include types" => include_str!("../guests/fragments/types.wat"),
            ";;include memory" => include_str!("../guests/fragments/memory.wat"),
            ";;include driver" => include_str!("../guests/fragments/driver.wat"),
            ";;include streams" => include_str!("../guests/fragments/streams.wat"),
            ";;include log" => include_str!("../guests/fragments/log.wat"),
            line if line.starts_with(";;include") => panic!("no such fragment: {line}"),
            _ => line,
        });
        expanded.push('\n');
    }
    expanded
}

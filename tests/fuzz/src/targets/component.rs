//! Bytes on their way into a tree: encoded, compiled, looked at and called, or refused.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::journal::Nothing;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::{Limits, Policy};
use remotes_effect::vmm::Call;
use remotes_sandbox::compile::{self, CompileError};
use remotes_sandbox::{Driver, engine, inspect};
use remotes_simulation::Simulation;
use wasmtime::Engine;

/// Words of it: the beginnings of modules and components, and numbers that are long.
pub const WORDS: &[&str] = &[
    "\0asm\u{1}\0\0\0",
    "\0asm\r\0\u{1}\0",
    "one:driver/vmm-driver@1.0.0",
    "one:driver/log@1.0.0",
    "one:driver/shell@1.0.0",
    "one:driver/clock@2.0.0",
    "wasi:cli/environment@0.2.0",
    "reboot",
    "actions",
    "memory",
    "cabi_realloc",
    "\u{1}",
    "\0",
    "\u{b}",
    "\u{7f}",
    "\u{10}",
    "\u{41}",
];

fn limits() -> Limits {
    Limits { memory_mib: 16, start_seconds: 1, time_seconds: 1, effects: 100, ..Limits::default() }
}

/// What is taken is the same each time, and does nothing by being looked at or called.
pub fn run(data: &[u8]) {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| engine(&limits()).unwrap());
    let bytes = match compile::component(data) {
        Ok(bytes) => bytes,
        Err(error) => return refused(&error),
    };
    let component = match compile::compile(engine, &bytes) {
        Ok(component) => component,
        Err(error) => return refused(&error),
    };
    let found = inspect::inspect(engine, &component);
    assert_eq!(found.contract.is_some(), !found.subsystems.is_empty());
    assert_eq!(found.wasi, found.imports.iter().any(|import| import.name.starts_with("wasi:")));
    for interface in found.imports.iter().chain(&found.exports) {
        assert!(bytes.windows(interface.name.len()).any(|window| window == interface.name.as_bytes()));
    }
    let policy = Arc::new(Policy { schema: 1, limits: limits(), ..Policy::default() });
    let pipeline = Pipeline::new(policy, Nothing, Simulation::new());
    let call = remotes_effect::Call::Vmm(Call::Actions {});
    let deadline = Deadline::after(Duration::from_millis(100));
    let outcome = Driver::new(engine.clone(), component).call(&call, pipeline, deadline, None);
    // One of a later minor version has all of this one's functions, so that it may be called.
    let ours = found.exports.iter().any(|export| export.name.starts_with("one:driver/vmm-driver@1."));
    assert!(ours || outcome.result.is_err());
    assert_eq!(outcome.pipeline.executor.here, Simulation::new().here);
}

fn refused(error: &CompileError) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 100_000);
}

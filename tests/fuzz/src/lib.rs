//! Everything that comes from outside and is taken apart here, as any bytes: one function a kind of input,
//! which panics where something does not hold that must.
//!
//! The same targets are run in two ways. `make test` gives each the inputs of `corpus/NAME` and, for ten
//! seconds, others that are made of these ([`generated`]). `make fuzz` has libFuzzer choose them by what code
//! they reach (`guided/`). Both change inputs as one who knows their syntax would ([`mutation`]).
//!
//! One more target: a module in `targets/`, a line in [`TARGETS`], a test in `tests/targets.rs`, a file in
//! `guided/targets/` with its entry in `guided/Cargo.toml`, and some inputs in `corpus/NAME`. Then break what it
//! is about, and see it fail.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub mod generated;
pub mod mutation;
pub mod targets;

/// One kind of input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name of its corpus's folder.
    pub name: &'static str,
    /// Takes any bytes; panics where something does not hold.
    pub run: fn(&[u8]),
    /// Words that mean something in it.
    pub words: &'static [&'static str],
}

macro_rules! targets {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), run: targets::$name::run, words: targets::$name::WORDS },)*
        ];
    };
}

targets! {
    vm_document,
    action_document,
    domain_document,
    settings,
    policy,
    frame,
    arguments,
    component,
}

/// The target of this name.
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no target {name}"))
}

//! Components on their way in: encoded where they are core modules, checked, compiled.

use thiserror::Error;
use wasmparser::{Validator, WasmFeatures};
use wasmtime::Engine;
use wasmtime::component::Component;
use wit_component::ComponentEncoder;

use crate::engine::OFFERED;

/// A component larger than this is not taken (bytes). Interpreters compiled to WebAssembly have some 20 MiB.
pub const LARGEST: usize = 64 * 1024 * 1024;

/// Bytes that are no driver.
#[derive(Debug, Error)]
pub enum CompileError {
    /// Too large.
    #[error("the component has {0} bytes; at most {LARGEST} are taken")]
    Large(usize),
    /// Not WebAssembly.
    #[error("neither a component nor a core module of WebAssembly: it {begins}", begins = match .0.as_str() {
        "" => "is empty".to_owned(),
        text => format!("begins with {text:?}"),
    })]
    NotWasm(String),
    /// A core module that cannot become a component.
    #[error("the core module cannot be encoded as a component: {0}")]
    Encode(String),
    /// A component that the engine refuses.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// A component of a WebAssembly that is not offered.
    #[error(
        "the component uses what is switched off for drivers: {}; have its compiler do without, or see SECURITY.md for \
         what is off", .0.join(", ")
    )]
    NotOffered(Vec<String>),
}

/// The component in these bytes. A core module with embedded world, as compilers for
/// `wasm32-unknown-unknown` make it, is encoded; a component is returned as it is.
pub fn component(bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
    if bytes.len() > LARGEST {
        return Err(CompileError::Large(bytes.len()));
    }
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            // The encoder takes a valid module for granted.
            wasmparser::validate(bytes).map_err(|error| CompileError::Encode(error.to_string()))?;
            ComponentEncoder::default()
                .validate(true)
                .module(bytes)
                .and_then(|encoder| encoder.encode())
                .map_err(|error| CompileError::Encode(format!("{error:#}")))
        }
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(bytes.to_vec()),
        _ => Err(CompileError::NotWasm(String::from_utf8_lossy(bytes.get(..8).unwrap_or(bytes)).into_owned())),
    }
}

/// Compiles a component to the code that [`crate::cache`] loads.
pub fn precompile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    engine.precompile_component(component).map_err(|error| refused(component, &error))
}

/// Compiles a component for use in this process.
pub fn compile(engine: &Engine, component: &[u8]) -> Result<Component, CompileError> {
    Component::from_binary(engine, component).map_err(|error| refused(component, &error))
}

/// Why the engine refuses it. The engine names a proposal of WebAssembly that is off in some messages only.
fn refused(component: &[u8], error: &wasmtime::Error) -> CompileError {
    match not_offered(component) {
        wanted if wanted.is_empty() => CompileError::Invalid(format!("{error:#}")),
        wanted => CompileError::NotOffered(wanted),
    }
}

/// The proposals without which the bytes are not valid, and with which they are, though they are not offered.
fn not_offered(bytes: &[u8]) -> Vec<String> {
    let valid = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
    let offered = |name: &str| wasmtime::WasmFeatures::from_name(name).is_some_and(|it| OFFERED.contains(it));
    if !valid(WasmFeatures::all()) {
        return Vec::new();
    }
    let off = WasmFeatures::all().iter_names().filter(|(name, _)| !offered(name));
    let wanted = off.filter(|(_, feature)| !valid(WasmFeatures::all().difference(*feature)));
    wanted.map(|(name, _)| name.to_lowercase().replace('_', "-")).collect()
}

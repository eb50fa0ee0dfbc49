//! Components on their way in: encoded where they are core modules, checked, compiled.

use thiserror::Error;
use wasmtime::Engine;
use wasmtime::component::Component;
use wit_component::ComponentEncoder;

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
    engine.precompile_component(component).map_err(|error| CompileError::Invalid(format!("{error:#}")))
}

/// Compiles a component for use in this process.
pub fn compile(engine: &Engine, component: &[u8]) -> Result<Component, CompileError> {
    Component::from_binary(engine, component).map_err(|error| CompileError::Invalid(format!("{error:#}")))
}

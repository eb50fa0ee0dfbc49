//! The one configuration of the engine. Compiling and running share it, or precompiled code would not load.

use remotes_effect::policy::Limits;
use thiserror::Error;
use wasmtime::{Config, Engine, WasmFeatures};

/// What components may not use: nothing of it is needed by drivers, and each is surface.
const REFUSED: WasmFeatures = WasmFeatures::THREADS
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST);

/// An engine that cannot be set up: this processor or architecture lacks what it needs.
#[derive(Debug, Error)]
#[error("the WebAssembly engine cannot be set up: {0:#}")]
pub struct EngineError(wasmtime::Error);

/// An engine for drivers under these limits.
///
/// Code is compiled for the baseline of the architecture, not for this machine's processor: the remotes
/// tree is copied to hosts with others.
pub fn engine(limits: &Limits) -> Result<Engine, EngineError> {
    let mut config = Config::new();
    config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH)).map_err(EngineError)?;
    config.wasm_features(REFUSED, false);
    config.epoch_interruption(true);
    config.max_wasm_stack(limits.stack_kib as usize * 1024);
    config.concurrency_support(false);
    #[cfg(feature = "compiler")]
    config.cranelift_opt_level(wasmtime::OptLevel::Speed);
    Engine::new(&config).map_err(EngineError)
}

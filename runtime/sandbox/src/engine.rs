//! The one configuration of the engine. Compiling and running share it, or precompiled code would not load.

use remotes_effect::policy::Limits;
use thiserror::Error;
use wasmtime::{Config, Engine, WasmFeatures};

/// What components may use: what compilers take for granted. Everything else is surface, also what a
/// later engine may have on by default.
pub(crate) const OFFERED: WasmFeatures = WasmFeatures::COMPONENT_MODEL
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    // Sums in what initialises globals and segments: linkers write them into every module that is linked dynamically.
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIMD);

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
    config.wasm_features(WasmFeatures::all().difference(OFFERED), false);
    config.epoch_interruption(true);
    config.max_wasm_stack(limits.stack_kib as usize * 1024);
    config.concurrency_support(false);
    // A trap becomes one line with the driver's own words: where in the code it happened is told to nobody,
    // and these tables are a sixth of what is mapped and hashed at every start.
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config.wasm_backtrace_max_frames(None);
    #[cfg(feature = "compiler")]
    config.cranelift_opt_level(wasmtime::OptLevel::Speed);
    Engine::new(&config).map_err(EngineError)
}

//! WASI with nothing in it, for drivers in languages that cannot do without: no folder, no socket, no
//! environment, no arguments. Clocks stand still and random numbers repeat, since a driver has no input
//! but its call and its effects. What it prints goes to the log when the call is over.

use std::time::Duration;

use remotes_effect::journal::Journal;
use remotes_effect::log::{Effect as Log, Level};
use remotes_effect::pipeline::{Pipeline, Stop};
use remotes_effect::{Effect, Executor};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::run::State;

/// The empty context of one call.
pub struct Nothing {
    context: WasiCtx,
    table: ResourceTable,
    printed: MemoryOutputPipe,
}

impl Nothing {
    /// `log_bytes` bounds what is kept of the driver's output; writing more fails in the driver.
    pub fn new(log_bytes: usize) -> Self {
        let printed = MemoryOutputPipe::new(log_bytes);
        let context = WasiCtxBuilder::new()
            .stdout(printed.clone())
            .stderr(printed.clone())
            .wall_clock(Still)
            .monotonic_clock(Still)
            .secure_random(wasmtime_wasi::random::Deterministic::new(vec![0]))
            .insecure_random(wasmtime_wasi::random::Deterministic::new(vec![0]))
            .insecure_random_seed(0)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Self { context, table: ResourceTable::new(), printed }
    }

    /// Sends what the driver printed down the pipeline, a log line a line.
    pub fn flush<J: Journal, E: Executor>(&self, pipeline: &mut Pipeline<J, E>) -> Result<(), Stop> {
        let printed = self.printed.contents();
        for line in String::from_utf8_lossy(&printed).lines().filter(|line| !line.trim().is_empty()) {
            pipeline.perform(Effect::Log(Log::Write { level: Level::Info, message: line.to_owned() }))?;
        }
        Ok(())
    }
}

struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}

impl<J: 'static, E: 'static> WasiView for State<J, E>
where
    State<J, E>: Send,
{
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.context, table: &mut self.wasi.table }
    }
}

/// Links WASI where the component imports it.
pub fn link<J: 'static, E: 'static>(
    linker: &mut Linker<State<J, E>>,
    engine: &Engine,
    component: &Component,
) -> Result<()>
where
    State<J, E>: Send,
{
    if component.component_type().imports(engine).any(|(name, _)| name.starts_with("wasi:")) {
        wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    }
    Ok(())
}

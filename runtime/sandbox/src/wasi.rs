//! WASI with nothing in it, for drivers in languages that cannot do without: no folder, no socket, no
//! environment, no arguments. Clocks stand still and random numbers repeat, since a driver has no input
//! but its call and its effects. What it prints goes to the log when the call is over.

use std::time::Duration;

use remotes_effect::journal::Journal;
use remotes_effect::log::{Effect as Log, Level};
use remotes_effect::pipeline::{Pipeline, Stop};
use remotes_effect::policy::Limits;
use remotes_effect::{Effect, Executor};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, StoreContextMut};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Streams, sockets and the like that a driver may hold at a time.
const HANDLES: usize = 1000;
/// The clock whose waiting is replaced, as it is named by the version of WASI that is linked.
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";

/// The empty context of one call.
pub struct Nothing {
    context: WasiCtx,
    table: ResourceTable,
    printed: MemoryOutputPipe,
}

impl Nothing {
    /// What is kept of the driver's output is bounded as its log is; writing more fails in the driver.
    pub fn new(limits: &Limits) -> Self {
        let printed = MemoryOutputPipe::new(limits.log_kib as usize * 1024);
        let context = WasiCtxBuilder::new()
            .stdout(printed.clone())
            .stderr(printed.clone())
            .wall_clock(Still)
            .monotonic_clock(Still)
            .secure_random(wasmtime_wasi::random::Deterministic::new(vec![0]))
            .insecure_random(wasmtime_wasi::random::Deterministic::new(vec![0]))
            .insecure_random_seed(0)
            .max_random_size(limits.argument_kib * 1024)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { context, table, printed }
    }

    /// What WASI's functions see.
    pub fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.table }
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

/// Links WASI where the component imports it.
pub fn link<T: WasiView + 'static>(linker: &mut Linker<T>, engine: &Engine, component: &Component) -> Result<()> {
    if component.component_type().imports(engine).any(|(name, _)| name.starts_with("wasi:")) {
        wasmtime_wasi::p2::add_to_linker_sync(linker)?;
        link_clock(linker)?;
    }
    Ok(())
}

/// Replaces what a driver waits for by what is there at once: it would wait inside the host, where the
/// deadline cannot interrupt it. Time stands still, so none is skipped.
fn link_clock<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut clock = linker.instance(MONOTONIC_CLOCK)?;
    for name in ["subscribe-duration", "subscribe-instant"] {
        clock.func_wrap(name, |mut store: StoreContextMut<'_, T>, (_time,): (u64,)| {
            let table = store.data_mut().ctx().table;
            let over = table.push(Over)?;
            Ok((subscribe(table, over)?,))
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// A time that is over.
struct Over;

#[wasmtime_wasi::async_trait]
impl Pollable for Over {
    async fn ready(&mut self) {}
}

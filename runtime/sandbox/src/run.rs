//! One call of one driver.

use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::journal::Journal;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Limits;
use remotes_effect::text::one_line;
use remotes_effect::{Call, Executor, Reply};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Result, Store, Trap, UpdateDeadline};

use crate::error::{Phase, RunError};
use crate::limiter::Limiter;
use crate::link::{self, DRIVER_INTERFACES};
use crate::state::State;
use crate::watch::Watch;

/// A component that is ready to be called, any number of times, each in a store of its own: nothing of
/// one call is visible to the next.
pub struct Driver {
    engine: Engine,
    component: Component,
}

/// What came of a call, with the pipeline given back.
pub struct Outcome<J, E> {
    /// The driver's reply, or why there is none.
    pub result: Result<Reply, RunError>,
    /// The pipeline, for its journal and executor.
    pub pipeline: Pipeline<J, E>,
}

impl Driver {
    /// Takes a component loaded by [`crate::cache`] or compiled, with the engine it belongs to.
    pub fn new(engine: Engine, component: Component) -> Self {
        Self { engine, component }
    }

    /// Calls the driver. `abandon` is called when the action is stuck inside the host long after its
    /// deadline; it should report that and end the process.
    pub fn call<J: Journal + Send + 'static, E: Executor + Send + 'static>(
        &self,
        call: &Call,
        pipeline: Pipeline<J, E>,
        deadline: Deadline,
        abandon: Option<Box<dyn FnOnce() + Send>>,
    ) -> Outcome<J, E> {
        let limits = pipeline.policy().limits.clone();
        let state = State {
            limiter: Limiter::new(&limits),
            pipeline,
            #[cfg(feature = "wasi")]
            wasi: crate::wasi::Nothing::new(&limits),
        };
        let mut store = Store::new(&self.engine, state);
        let result = self.call_in(&mut store, call, &limits, deadline, abandon);
        #[cfg_attr(not(feature = "wasi"), allow(unused_mut))]
        let mut state = store.into_data();
        #[cfg(feature = "wasi")]
        let result = state.wasi.flush(&mut state.pipeline).map_err(RunError::Stopped).and(result);
        let mut pipeline = state.pipeline;
        if let Err(error) = &result {
            pipeline.journal.aborted(&error.to_string());
        }
        Outcome { result, pipeline }
    }

    /// Why it cannot be linked.
    fn unlinked(&self, error: &wasmtime::Error) -> String {
        match link::not_offered(&self.engine, &self.component) {
            imports if imports.is_empty() => format!("{error:#}"),
            imports => format!("it imports what no driver is offered: {}", one_line(&imports.join(", "))),
        }
    }

    fn call_in<J: Journal + Send + 'static, E: Executor + Send + 'static>(
        &self,
        store: &mut Store<State<J, E>>,
        call: &Call,
        limits: &Limits,
        deadline: Deadline,
        abandon: Option<Box<dyn FnOnce() + Send>>,
    ) -> Result<Reply, RunError> {
        let sort = |error: wasmtime::Error, phase| RunError::sort(&error, phase, limits, call);
        let subsystem = call.subsystem();
        let unsuitable = |reason: String| RunError::Unsuitable { subsystem: subsystem.to_owned(), reason };
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.argument_kib as usize * 1024);

        let mut linker = Linker::new(&self.engine);
        link::link(&mut linker, subsystem).map_err(|error| unsuitable(format!("{error:#}")))?;
        #[cfg(feature = "wasi")]
        crate::wasi::link(&mut linker, &self.engine, &self.component)
            .map_err(|error| unsuitable(format!("{error:#}")))?;
        let prepared = linker.instantiate_pre(&self.component).map_err(|error| unsuitable(self.unlinked(&error)))?;
        let exported = DRIVER_INTERFACES.iter().find(|(name, _)| *name == subsystem).map(|(_, full)| *full);
        let interface = exported
            .and_then(|full| self.component.get_export_index(None, full))
            .ok_or_else(|| unsuitable(format!("it does not export {}", exported.unwrap_or("a driver interface"))))?;

        let start = deadline.within(Duration::from_secs(limits.start_seconds));
        interrupt_at(store, start);
        let watch = Watch::new(&self.engine, start, deadline, abandon)
            .map_err(|error| RunError::Trapped(format!("no thread for the watch: {error}")))?;
        let instance = prepared.instantiate(&mut *store).map_err(|error| sort(error, Phase::Start))?;
        watch.started();
        interrupt_at(store, deadline);
        let reply = link::call(store, &instance, &interface, call);
        drop(watch);
        reply.map_err(|error| sort(error, Phase::Call))
    }
}

/// Interrupts the driver at this deadline. The engine's epoch is that of all calls that share the engine:
/// another's deadline only makes this one look at its own.
fn interrupt_at<T>(store: &mut Store<T>, deadline: Deadline) {
    store.epoch_deadline_callback(move |_| match deadline.passed() {
        true => Err(Trap::Interrupt.into()),
        false => Ok(UpdateDeadline::Continue(1)),
    });
    store.set_epoch_deadline(1);
}

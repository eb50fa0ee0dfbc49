//! What the store of one call holds.

use remotes_effect::journal::Journal;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::{Answer, Effect, Executor};
use wasmtime::Result;

use crate::limiter::Limiter;
use crate::link::Port;

pub(crate) struct State<J, E> {
    pub pipeline: Pipeline<J, E>,
    pub limiter: Limiter,
    #[cfg(feature = "wasi")]
    pub wasi: crate::wasi::Nothing,
}

impl<J: Journal, E: Executor> Port for State<J, E> {
    fn perform(&mut self, effect: Effect) -> Result<Answer> {
        Ok(self.pipeline.perform(effect)?)
    }
}

#[cfg(feature = "wasi")]
impl<J: 'static, E: 'static> wasmtime_wasi::WasiView for State<J, E>
where
    State<J, E>: Send,
{
    fn ctx(&mut self) -> wasmtime_wasi::WasiCtxView<'_> {
        self.wasi.view()
    }
}

//! Capabilities linked to a component, generated from the contract.

// Generated code reads the same for every type.
#![allow(clippy::clone_on_copy, clippy::enum_variant_names)]

use remotes_effect as values;
use remotes_effect::{Answer, Effect};
use thiserror::Error;
use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// Where a component's calls go. An error ends the action.
pub trait Port {
    /// Carries out one effect.
    fn perform(&mut self, effect: Effect) -> Result<Answer>;
}

/// Values to types of the component boundary and back.
trait Convert<T> {
    fn convert(self) -> T;
}

macro_rules! unchanged {
    ($($ty:ty,)*) => { $(impl Convert<$ty> for $ty { fn convert(self) -> $ty { self } })* };
}

unchanged!(bool, u8, u16, u32, u64, i8, i16, i32, i64, char, String, (), Vec<u8>, Vec<String>,);

/// What lists are made of, but for plain bytes and strings, whose lists pass unchanged: the types above say so.
trait Item {}

impl Item for u16 {}

impl<A: Convert<B> + Item, B> Convert<Vec<B>> for Vec<A> {
    fn convert(self) -> Vec<B> {
        self.into_iter().map(Convert::convert).collect()
    }
}

impl<A: Convert<B>, B> Convert<Option<B>> for Option<A> {
    fn convert(self) -> Option<B> {
        self.map(Convert::convert)
    }
}

impl<A: Convert<B>, B, E: Convert<F>, F> Convert<Result<B, F>> for Result<A, E> {
    fn convert(self) -> Result<B, F> {
        self.map(Convert::convert).map_err(Convert::convert)
    }
}

impl<A: Convert<B>, B, C: Convert<D>, D> Convert<(B, D)> for (A, C) {
    fn convert(self) -> (B, D) {
        (self.0.convert(), self.1.convert())
    }
}

fn mismatch(asked: &str, answer: &Answer) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the executor answered {answer:?} to {asked}"))
}

/// The packages whose interfaces there are for drivers: ours, and of WASI what [`crate::wasi`] has with nothing in it.
const OFFERED: [&str; 7] =
    ["one:driver", "wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// What a component imports of other packages.
pub(crate) fn not_offered(engine: &Engine, component: &Component) -> Vec<String> {
    let ty = component.component_type();
    let package = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let imports = ty.imports(engine).map(|(name, _)| name.to_owned());
    imports.filter(|name| !OFFERED.contains(&package(name).as_str())).collect()
}

/// A component that does not export what it is called for.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct Unfit(String);

fn absent(function: &str) -> wasmtime::Error {
    Unfit(format!("it does not export {function}")).into()
}

fn unfit(function: &str, error: &wasmtime::Error) -> wasmtime::Error {
    Unfit(format!("its {function} is not of the contract's type: {error:#}")).into()
}

include!(concat!(env!("OUT_DIR"), "/linking.rs"));

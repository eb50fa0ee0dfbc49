//! Generates Rust from the contract in `wit/`, so that one file an interface is the single source of
//! what a driver may ask ([`values`]), of how a component asks it ([`linking`]) and of how a driver's
//! author asks it ([`author`]). Used by build scripts only; nothing here runs in an action.
#![forbid(unsafe_code)]

mod author;
mod linking;
mod model;
mod types;
mod values;

use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::TokenStream;

use model::Contract;

/// Effects, answers, calls and replies as values, with one executor trait a capability.
pub fn values(wit: &Path) -> Result<TokenStream> {
    Ok(values::generate(&Contract::read(wit)?))
}

/// The component-model side: every capability linked to one function that takes an effect.
pub fn linking(wit: &Path) -> Result<TokenStream> {
    Ok(linking::generate(&Contract::read(wit)?))
}

/// The driver author's side: one trait a world, capability functions for native tests.
pub fn author(wit: &Path) -> Result<TokenStream> {
    Ok(author::generate(&Contract::read(wit)?, wit))
}

/// Writes generated code into the build's output folder and has Cargo watch the contract.
/// `generator` is one of the functions above; `name` is the file's name.
pub fn write(generator: fn(&Path) -> Result<TokenStream>, wit: &Path, name: &str) -> Result<()> {
    println!("cargo::rerun-if-changed={}", wit.display());
    let out = std::env::var_os("OUT_DIR").context("OUT_DIR is not set: call this from a build script")?;
    let target = Path::new(&out).join(name);
    let file = syn::parse2(generator(wit)?).context("the generated code does not parse")?;
    std::fs::write(&target, prettyplease::unparse(&file)).with_context(|| format!("cannot write {}", target.display()))
}

//! What a component wants and offers, read without running it.

use serde::Serialize;
use wasmtime::Engine;
use wasmtime::component::{Component, types::ComponentItem};

use crate::link::{self, DRIVER_INTERFACES};

/// A component's outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Subsystems whose driver interface it exports; one for a driver.
    pub subsystems: Vec<String>,
    /// Version of the contract that it was built against, where it exports a driver interface.
    pub contract: Option<String>,
    /// Interfaces it imports, with the functions it really calls.
    pub imports: Vec<Interface>,
    /// Functions of the driver interface that it exports.
    pub exports: Vec<Interface>,
    /// Whether it imports anything of WASI.
    pub wasi: bool,
    /// What it imports and is not offered to any driver: with one of these it is not run.
    pub not_offered: Vec<String>,
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Full name with version.
    pub name: String,
    /// Names of functions.
    pub functions: Vec<String>,
}

/// Looks at a component.
pub fn inspect(engine: &Engine, component: &Component) -> Inspection {
    let ty = component.component_type();
    let list = |items: Vec<(String, ComponentItem)>| {
        items
            .into_iter()
            .map(|(name, item)| Interface { name, functions: functions(engine, &item) })
            .collect::<Vec<_>>()
    };
    let imports = list(ty.imports(engine).map(|(name, item)| (name.to_owned(), item.ty)).collect());
    let exports = list(ty.exports(engine).map(|(name, item)| (name.to_owned(), item.ty)).collect());
    let driver = |name: &str| {
        let (interface, version) = name.split_once('@')?;
        let known = DRIVER_INTERFACES.iter().find(|(_, full)| full.split('@').next() == Some(interface))?;
        Some((known.0.to_owned(), version.to_owned()))
    };
    let found: Vec<_> = exports.iter().filter_map(|export| driver(&export.name)).collect();
    Inspection {
        contract: found.first().map(|(_, version)| version.clone()),
        subsystems: found.into_iter().map(|(subsystem, _)| subsystem).collect(),
        wasi: imports.iter().any(|import| import.name.starts_with("wasi:")),
        not_offered: link::not_offered(engine, component),
        imports,
        exports,
    }
}

fn functions(engine: &Engine, item: &ComponentItem) -> Vec<String> {
    match item {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name.to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

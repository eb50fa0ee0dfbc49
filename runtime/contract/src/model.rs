//! The contract as the generators need it: interfaces with their types and functions, aliases resolved.

use std::path::Path;

use anyhow::{Context, Result, bail};
use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span};
use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDefKind, TypeId, WorldItem};

/// The package `one:driver`.
pub struct Contract {
    pub resolve: Resolve,
    pub version: String,
    pub interfaces: Vec<Interface>,
}

/// What an interface is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// types only
    Types,
    /// functions that a driver calls
    Capability,
    /// functions that a driver offers
    Driver,
}

pub struct Interface {
    pub name: String,
    pub role: Role,
    pub docs: String,
    /// types defined here, in order of definition
    pub types: Vec<TypeId>,
    pub functions: Vec<Function>,
}

impl Contract {
    pub fn read(wit: &Path) -> Result<Self> {
        let mut resolve = Resolve::default();
        let (package, _) =
            resolve.push_dir(wit).with_context(|| format!("cannot parse the contract in {}", wit.display()))?;
        let package = &resolve.packages[package];
        let version = package.name.version.as_ref().context("the contract's package has no version")?.to_string();
        let exported: Vec<InterfaceId> = package
            .worlds
            .values()
            .flat_map(|world| resolve.worlds[*world].exports.values())
            .filter_map(|item| match item {
                WorldItem::Interface { id, .. } => Some(*id),
                _ => None,
            })
            .collect();
        let mut interfaces = Vec::new();
        for (name, id) in &package.interfaces {
            let interface = &resolve.interfaces[*id];
            let role = match () {
                () if exported.contains(id) => Role::Driver,
                () if interface.functions.is_empty() => Role::Types,
                () => Role::Capability,
            };
            interfaces.push(Interface {
                name: name.clone(),
                role,
                docs: interface.docs.contents.clone().unwrap_or_default(),
                types: interface.types.values().copied().filter(|id| !is_use(&resolve, *id)).collect(),
                functions: interface.functions.values().cloned().collect(),
            });
        }
        if !interfaces.iter().any(|i| i.role == Role::Capability) {
            bail!("the contract in {} has no capability", wit.display());
        }
        Ok(Self { resolve, version, interfaces })
    }

    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().filter(move |interface| interface.role == role)
    }

    /// Names of the interfaces that a world imports, those of their types included.
    pub fn imports(&self, world: &str) -> Vec<&str> {
        let world = self.resolve.worlds.iter().map(|(_, world)| world).find(|other| other.name == world);
        let imports = world.iter().flat_map(|world| world.imports.values());
        let names = imports.filter_map(|item| match item {
            WorldItem::Interface { id, .. } => self.resolve.interfaces[*id].name.as_deref(),
            _ => None,
        });
        names.collect()
    }

    /// Follows aliases (`use` and `type a = b`) to the type that defines something.
    pub fn resolved(&self, ty: Type) -> Type {
        match ty {
            Type::Id(id) => match self.resolve.types[id].kind {
                TypeDefKind::Type(inner) => self.resolved(inner),
                _ => ty,
            },
            _ => ty,
        }
    }

    /// The interface a named type is defined in.
    pub fn owner(&self, id: TypeId) -> Option<&str> {
        match self.resolve.types[id].owner {
            wit_parser::TypeOwner::Interface(interface) => self.resolve.interfaces[interface].name.as_deref(),
            _ => None,
        }
    }

    /// Whether the function can answer with the contract's failure, hence be refused.
    pub fn fallible(&self, function: &Function) -> bool {
        let Some(Type::Id(id)) = function.result.map(|ty| self.resolved(ty)) else { return false };
        matches!(self.resolve.types[id].kind, TypeDefKind::Result(_))
    }

    /// The success type of a fallible function.
    pub fn success(&self, function: &Function) -> Option<Type> {
        let Some(Type::Id(id)) = function.result.map(|ty| self.resolved(ty)) else { return None };
        match &self.resolve.types[id].kind {
            TypeDefKind::Result(result) => result.ok,
            _ => None,
        }
    }
}

/// `use other.{thing}` shows as a type that only points to another interface's.
fn is_use(resolve: &Resolve, id: TypeId) -> bool {
    match resolve.types[id].kind {
        TypeDefKind::Type(Type::Id(target)) => {
            resolve.types[target].owner != resolve.types[id].owner || resolve.types[target].name.is_some()
        }
        TypeDefKind::Type(_) => true,
        _ => false,
    }
}

pub fn camel(name: &str) -> Ident {
    Ident::new(&name.to_upper_camel_case(), Span::call_site())
}

pub fn snake(name: &str) -> Ident {
    Ident::new(&name.to_snake_case(), Span::call_site())
}

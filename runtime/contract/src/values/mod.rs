//! Effects, answers, calls and replies as plain values.

mod calls;
mod effects;

use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{Function, Type, TypeDefKind};

use crate::model::{Contract, Interface, Role, camel, snake};
use crate::types::{Flavour, doc};
use calls::{calls, driver};
use effects::{capability, effects};

/// Items for a crate's root: one module an interface, and the enumerations over all of them.
pub fn generate(contract: &Contract) -> TokenStream {
    let root = quote!(crate);
    let types: TokenStream = contract
        .with_role(Role::Types)
        .map(|interface| {
            let (module, docs) = (snake(&interface.name), &interface.docs);
            let definitions = contract.definitions(interface, Flavour::Value, &root);
            quote!(#[doc = #docs] pub mod #module { #definitions })
        })
        .collect();
    let capabilities: TokenStream = contract.with_role(Role::Capability).map(|i| capability(contract, i)).collect();
    let drivers: TokenStream = contract.with_role(Role::Driver).map(|i| driver(contract, i)).collect();
    let version = &contract.version;
    let (effects, calls) = (effects(contract), calls(contract));
    quote! {
        /// Version of the contract this runtime serves.
        pub const CONTRACT: &str = #version;
        #types #capabilities #drivers #effects #calls
    }
}

/// The module of a driver interface and the variant of its calls: `vmm-driver` is `vmm`.
pub fn world_name(interface: &Interface) -> &str {
    interface.name.strip_suffix("-driver").unwrap_or(&interface.name)
}

/// `Name { a: A, b: B }` for each function, as variants of an enumeration of requests.
fn requests(contract: &Contract, interface: &Interface) -> TokenStream {
    let root = quote!(crate);
    interface
        .functions
        .iter()
        .map(|function| {
            let (name, docs) = (camel(&function.name), doc(&function.docs));
            let fields = function.params.iter().map(|parameter| {
                let (name, ty) = (snake(&parameter.name), contract.owned(parameter.ty, &root));
                let bytes = contract.bytes_attribute(parameter.ty);
                quote!(#[allow(missing_docs)] #bytes #name: #ty)
            });
            quote!(#docs #name { #(#fields,)* },)
        })
        .collect()
}

fn results(contract: &Contract, interface: &Interface) -> TokenStream {
    interface
        .functions
        .iter()
        .map(|function| {
            let (name, ty) = (camel(&function.name), result(contract, function));
            let bytes = contract.success(function).filter(|ok| is_bytes(contract, *ok));
            let bytes = bytes.map(|_| quote!(#[serde(with = "crate::bytes::in_result")]));
            quote!(#[allow(missing_docs)] #name(#bytes #ty),)
        })
        .collect()
}

fn is_bytes(contract: &Contract, ty: Type) -> bool {
    let Type::Id(id) = contract.resolved(ty) else { return false };
    matches!(contract.resolve.types[id].kind, TypeDefKind::List(Type::U8))
}

fn result(contract: &Contract, function: &Function) -> TokenStream {
    function.result.map_or(quote!(()), |ty| contract.owned(ty, &quote!(crate)))
}

/// Match arms over all functions: `pattern => value`.
fn arms(interface: &Interface, arm: impl Fn(&Function) -> TokenStream) -> TokenStream {
    interface.functions.iter().map(arm).collect()
}

/// Match arms over all answers or replies: the failure in it.
fn failures(contract: &Contract, interface: &Interface) -> TokenStream {
    arms(interface, |f| {
        let variant = camel(&f.name);
        match contract.fallible(f) {
            true => quote!(Self::#variant(result) => result.as_ref().err(),),
            false => quote!(Self::#variant(..) => None,),
        }
    })
}

/// `, a: &A, b: B` in the borrowed form.
pub fn parameters(contract: &Contract, function: &Function) -> TokenStream {
    function
        .params
        .iter()
        .map(|p| {
            let (name, ty) = (snake(&p.name), contract.borrowed(p.ty, &quote!(crate)));
            quote!(, #name: #ty)
        })
        .collect()
}

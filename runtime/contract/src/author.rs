//! The driver author's side: a trait a world with defaults, the macro that exports it, and, where the
//! driver is compiled natively for its tests, capability functions that go to a simulation.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use wit_parser::Function;

use crate::model::{Contract, Interface, Role, camel, snake};
use crate::types::doc;
use crate::values::world_name;

/// Items for the root of the SDK, which has the contract at `wit`, seen from its manifest. Types are at
/// `crate::types` and beside the capability functions.
pub fn generate(contract: &Contract, wit: &Path) -> TokenStream {
    let bindings = bindings(contract, &wit.display().to_string());
    let traits: TokenStream = contract.with_role(Role::Driver).map(|i| driver_trait(contract, i)).collect();
    let clients: TokenStream = contract.with_role(Role::Capability).map(|i| client(contract, i)).collect();
    let types = contract.with_role(Role::Types).map(|i| snake(&i.name));
    let capabilities: Vec<_> = contract.with_role(Role::Capability).map(|i| snake(&i.name)).collect();
    let shared: Vec<_> = contract.with_role(Role::Types).map(|i| snake(&i.name)).collect();
    quote! {
        #traits
        #bindings
        #[cfg(target_family = "wasm")]
        pub use bindings::one::driver::{#(#shared,)* #(#capabilities,)*};
        #[cfg(not(target_family = "wasm"))]
        #[allow(clippy::redundant_field_names, clippy::unused_unit)]
        mod native_capabilities {
            #(pub use remotes_effect::#types;)*
            #clients
        }
        #[cfg(not(target_family = "wasm"))]
        pub use native_capabilities::{#(#shared,)* #(#capabilities,)*};
    }
}

/// Component bindings: every capability once, then one module a world for its exports, whose `with`
/// points back at the capabilities, so that all worlds share one set of types. A world's exports are
/// asked of a component only where its `export_…!` is used.
fn bindings(contract: &Contract, wit: &str) -> TokenStream {
    let shared = || contract.interfaces.iter().filter(|interface| interface.role != Role::Driver);
    let name = |interface: &Interface| format!("one:driver/{}@{}", interface.name, contract.version);
    let imports: String = shared().map(|interface| format!("import {};\n", name(interface))).collect();
    let capabilities = format!("package remotes:sdk;\nworld capabilities {{\n{imports}}}");
    let worlds = contract.with_role(Role::Driver).map(|driver| {
        let (world, module) = (world_name(driver), snake(world_name(driver)));
        // Exactly what the world imports: the macro refuses a mapping that it has no use for.
        let imported = contract.imports(world);
        let with = shared().filter(|interface| imported.contains(&interface.name.as_str())).map(|interface| {
            let (name, module) = (name(interface), snake(&interface.name));
            quote!(#name: crate::bindings::one::driver::#module)
        });
        quote! {
            pub mod #module {
                wit_bindgen::generate!({
                    path: #wit, world: #world, with: { #(#with,)* }, pub_export_macro: true,
                });
            }
        }
    });
    quote! {
        #[cfg(target_family = "wasm")]
        #[doc(hidden)]
        #[allow(missing_docs, unsafe_code)]
        pub mod bindings {
            wit_bindgen::generate!({
                path: #wit, inline: #capabilities, world: "remotes:sdk/capabilities",
                generate_all, additional_derives: [PartialEq],
            });
            #(#worlds)*
        }
    }
}

fn result(contract: &Contract, function: &Function) -> TokenStream {
    function.result.map_or(quote!(()), |ty| contract.owned(ty, &quote!(crate)))
}

fn driver_trait(contract: &Contract, interface: &Interface) -> TokenStream {
    let (name, docs) = (camel(world_name(interface)), &interface.docs);
    let (module, guest_module) = (snake(world_name(interface)), snake(&interface.name));
    let macro_name = format_ident!("export_{}", module);
    let call = format_ident!("call_{}", module);
    let all = format_ident!("{}_ACTIONS", module.to_string().to_uppercase());
    let functions: Vec<_> = interface.functions.iter().filter(|f| f.name != "actions").collect();
    let methods = functions.iter().map(|f| {
        let (name, docs, result) = (snake(&f.name), doc(&f.docs), result(contract, f));
        let parameters = f.params.iter().map(|p| {
            let (name, ty) = (snake(&p.name), contract.owned(p.ty, &quote!(crate)));
            quote!(#name: #ty)
        });
        let action = f.name.replace('-', "_");
        quote! {
            #docs
            #[allow(unused_variables)]
            fn #name(#(#parameters),*) -> #result { Err(crate::unsupported(#action)) }
        }
    });
    let trait_name = &name;
    let actions = functions.iter().map(|f| f.name.replace('-', "_"));
    let exports = functions.iter().map(|f| {
        let (name, result) = (snake(&f.name), result_from(contract, f, &quote!($crate)));
        let names: Vec<_> = f.params.iter().map(|p| snake(&p.name)).collect();
        let types = f.params.iter().map(|p| contract.owned(p.ty, &quote!($crate)));
        quote!(fn #name(#(#names: #types),*) -> #result { $crate::report_panics(); <$driver as $crate::#trait_name>::#name(#(#names),*) })
    });
    let calls = functions.iter().map(|f| {
        let (case, name) = (camel(&f.name), snake(&f.name));
        let names: Vec<_> = f.params.iter().map(|p| snake(&p.name)).collect();
        quote!(Call::#case { #(#names,)* } => Reply::#case(D::#name(#(#names),*)),)
    });
    quote! {
        /// Names of all actions of the subsystem.
        pub const #all: &[&str] = &[#(#actions,)*];
        #[doc = #docs]
        pub trait #name {
            /// Names of the actions that this driver implements: what the remotes tree has stubs for.
            const ACTIONS: &'static [&'static str];
            #(#methods)*
        }
        /// Makes the driver the component's export.
        #[macro_export]
        macro_rules! #macro_name {
            ($driver:ty) => {
                #[cfg(target_family = "wasm")]
                #[allow(unsafe_code)]
                const _: () = {
                    struct Component;
                    impl $crate::bindings::#module::exports::one::driver::#guest_module::Guest for Component {
                        fn actions() -> Vec<String> {
                            <$driver as $crate::#name>::ACTIONS.iter().map(|action| (*action).to_owned()).collect()
                        }
                        #(#exports)*
                    }
                    $crate::bindings::#module::export!(Component with_types_in $crate::bindings::#module);
                };
            };
        }
        /// Calls a driver that is compiled natively.
        #[cfg(not(target_family = "wasm"))]
        pub fn #call<D: #name>(call: remotes_effect::#module::Call) -> remotes_effect::#module::Reply {
            use remotes_effect::#module::{Call, Reply};
            match call {
                Call::Actions {} => Reply::Actions(D::ACTIONS.iter().map(|action| (*action).to_owned()).collect()),
                #(#calls)*
            }
        }
    }
}

fn result_from(contract: &Contract, function: &Function, root: &TokenStream) -> TokenStream {
    function.result.map_or(quote!(()), |ty| contract.owned(ty, root))
}

/// Functions of the same shape as the bindings of guests have, which perform the effect natively.
fn client(contract: &Contract, interface: &Interface) -> TokenStream {
    let (module, variant) = (snake(&interface.name), camel(&interface.name));
    let root = quote!(super);
    let functions = interface.functions.iter().map(|f| {
        let (name, case, docs) = (snake(&f.name), camel(&f.name), doc(&f.docs));
        let parameters = f.params.iter().map(|p| {
            let (name, ty) = (snake(&p.name), contract.borrowed(p.ty, &root));
            quote!(#name: #ty)
        });
        let fields = f.params.iter().map(|p| {
            let name = snake(&p.name);
            let value = contract.to_owned_expression(p.ty, quote!(#name));
            quote!(#name: #value)
        });
        let result = result_from(contract, f, &root);
        quote! {
            #docs
            pub fn #name(#(#parameters),*) -> #result {
                let effect = remotes_effect::Effect::#variant(Effect::#case { #(#fields,)* });
                match crate::native::perform(effect) {
                    remotes_effect::Answer::#variant(Answer::#case(answer)) => answer,
                    other => crate::native::mismatch(&other),
                }
            }
        }
    });
    quote! {
        #[allow(missing_docs)]
        pub mod #module {
            pub use remotes_effect::#module::*;
            #(#functions)*
        }
    }
}

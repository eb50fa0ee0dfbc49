//! The component-model side: types that cross the boundary, their conversion to and from values,
//! capabilities linked to one port, and typed calls of a driver's functions.

use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{Function, TypeDefKind, WorldItem};

use crate::model::{Contract, Interface, Role, camel, snake};
use crate::types::Flavour;
use crate::values::world_name;

/// Items for a module of the sandbox, beside its `Port` and `Convert` traits.
pub fn generate(contract: &Contract) -> TokenStream {
    let abi: TokenStream = contract
        .interfaces
        .iter()
        .map(|interface| {
            let module = snake(value_module(interface));
            let definitions = contract.definitions(interface, Flavour::Component, &quote!(super));
            quote!(#[allow(missing_docs)] pub mod #module { #definitions })
        })
        .collect();
    let conversions: TokenStream = contract.interfaces.iter().map(|i| conversions(contract, i)).collect();
    let links: TokenStream = contract.with_role(Role::Capability).map(|i| link(contract, i)).collect();
    let worlds = worlds(contract);
    let calls: TokenStream = contract.with_role(Role::Driver).map(|i| call(contract, i)).collect();
    let arms = contract.with_role(Role::Driver).map(|i| {
        let (variant, function) = (camel(world_name(i)), call_function(i));
        quote!(values::Call::#variant(call) => #function(store, instance, interface, call).map(values::Reply::#variant))
    });
    quote! {
        /// Types as they cross the component boundary.
        pub mod abi { #abi }
        #conversions
        #links
        #worlds
        #calls
        /// Calls one function of an instantiated driver. `interface` is the index of the exported
        /// driver interface.
        pub fn call<T: 'static>(
            store: &mut wasmtime::Store<T>,
            instance: &wasmtime::component::Instance,
            interface: &wasmtime::component::ComponentExportIndex,
            call: &values::Call,
        ) -> wasmtime::Result<values::Reply> {
            match call { #(#arms,)* }
        }
    }
}

fn value_module(interface: &Interface) -> &str {
    match interface.role {
        Role::Driver => world_name(interface),
        _ => &interface.name,
    }
}

fn conversions(contract: &Contract, interface: &Interface) -> TokenStream {
    let module = snake(value_module(interface));
    interface
        .types
        .iter()
        .map(|id| {
            let definition = &contract.resolve.types[*id];
            let name = camel(definition.name.as_deref().unwrap_or("unnamed"));
            let (value, abi) = (quote!(values::#module::#name), quote!(abi::#module::#name));
            let body = |from: TokenStream, to: TokenStream| match &definition.kind {
                TypeDefKind::Record(record) => {
                    let fields = record.fields.iter().map(|f| snake(&f.name));
                    let fields2 = fields.clone();
                    let fields3 = fields.clone();
                    quote!(let #from { #(#fields,)* } = self; #to { #(#fields2: #fields3.convert(),)* })
                }
                TypeDefKind::Enum(cases) => {
                    let cases = cases.cases.iter().map(|c| camel(&c.name));
                    quote!(match self { #(#from::#cases => #to::#cases,)* })
                }
                TypeDefKind::Variant(variant) => {
                    let arms = variant.cases.iter().map(|c| {
                        let case = camel(&c.name);
                        match c.ty {
                            Some(_) => quote!(#from::#case(value) => #to::#case(value.convert())),
                            None => quote!(#from::#case => #to::#case),
                        }
                    });
                    quote!(match self { #(#arms,)* })
                }
                _ => quote!(compile_error!("no conversion for this kind of type")),
            };
            let (there, back) = (body(value.clone(), abi.clone()), body(abi.clone(), value.clone()));
            quote! {
                impl Item for #value {}
                impl Item for #abi {}
                impl Convert<#abi> for #value { fn convert(self) -> #abi { #there } }
                impl Convert<#value> for #abi { fn convert(self) -> #value { #back } }
            }
        })
        .collect()
}

fn link_function(interface: &Interface) -> proc_macro2::Ident {
    snake(&format!("link-{}", interface.name))
}

fn call_function(interface: &Interface) -> proc_macro2::Ident {
    snake(&format!("call-{}", world_name(interface)))
}

fn full_name(contract: &Contract, interface: &Interface) -> String {
    format!("one:driver/{}@{}", interface.name, contract.version)
}

fn link(contract: &Contract, interface: &Interface) -> TokenStream {
    let (function, name) = (link_function(interface), full_name(contract, interface));
    let (variant, module) = (camel(&interface.name), snake(&interface.name));
    let functions = interface.functions.iter().map(|f| {
        let (wit, case) = (&f.name, camel(&f.name));
        let names: Vec<_> = f.params.iter().map(|p| snake(&p.name)).collect();
        let types = f.params.iter().map(|p| contract.owned(p.ty, &quote!(abi)));
        let (result, values) = (result(contract, f), results(f, quote!(answer)));
        let converted = match f.result {
            Some(_) => quote!(let answer: #result = answer.convert();),
            None => quote!(let () = answer;),
        };
        quote! {
            instance.func_wrap(#wit, |mut store: wasmtime::StoreContextMut<'_, T>, (#(#names,)*): (#(#types,)*)| {
                let effect = values::Effect::#variant(values::#module::Effect::#case { #(#names: #names.convert(),)* });
                match store.data_mut().perform(effect)? {
                    values::Answer::#variant(values::#module::Answer::#case(answer)) => {
                        #converted
                        Ok(#values)
                    }
                    other => Err(mismatch(#wit, &other)),
                }
            })?;
        }
    });
    quote! {
        fn #function<T: Port + 'static>(linker: &mut wasmtime::component::Linker<T>) -> wasmtime::Result<()> {
            let mut instance = linker.instance(#name)?;
            #(#functions)*
            Ok(())
        }
    }
}

fn result(contract: &Contract, function: &Function) -> TokenStream {
    function.result.map_or(quote!(()), |ty| contract.owned(ty, &quote!(abi)))
}

/// What a function returns as a tuple: of one thing, or of nothing.
fn results(function: &Function, one: TokenStream) -> TokenStream {
    if function.result.is_some() { quote!((#one,)) } else { quote!(()) }
}

/// `link(linker, world)`: what that world imports and nothing else; names of the driver interfaces.
fn worlds(contract: &Contract) -> TokenStream {
    let mut links = Vec::new();
    let mut interfaces = Vec::new();
    for interface in contract.with_role(Role::Driver) {
        let (name, full) = (world_name(interface), full_name(contract, interface));
        interfaces.push(quote!((#name, #full)));
        let world = contract.resolve.worlds.iter().map(|(_, world)| world).find(|world| world.name == name);
        let imported = world.iter().flat_map(|world| world.imports.values()).filter_map(|item| match item {
            WorldItem::Interface { id, .. } => contract.resolve.interfaces[*id].name.as_deref(),
            _ => None,
        });
        let calls = imported
            .filter_map(|name| contract.with_role(Role::Capability).find(|i| i.name == name))
            .map(link_function)
            .collect::<Vec<_>>();
        links.push(quote!(#name => { #(#calls(linker)?;)* }));
    }
    quote! {
        /// Each subsystem with the full name of the interface that its drivers export.
        pub const DRIVER_INTERFACES: &[(&str, &str)] = &[#(#interfaces,)*];
        /// Links the capabilities that the world of this subsystem imports, and nothing else.
        pub fn link<T: Port + 'static>(
            linker: &mut wasmtime::component::Linker<T>,
            subsystem: &str,
        ) -> wasmtime::Result<()> {
            match subsystem {
                #(#links)*
                other => return Err(wasmtime::Error::msg(format!("there is no world for subsystem {other:?}"))),
            }
            Ok(())
        }
    }
}

fn call(contract: &Contract, interface: &Interface) -> TokenStream {
    let (function, module) = (call_function(interface), snake(world_name(interface)));
    let arms = interface.functions.iter().map(|f| {
        let (case, wit) = (camel(&f.name), &f.name);
        let names: Vec<_> = f.params.iter().map(|p| snake(&p.name)).collect();
        let types = f.params.iter().map(|p| contract.owned(p.ty, &quote!(abi)));
        let result = result(contract, f);
        let (types_of_results, reply) = (results(f, result.clone()), results(f, quote!(reply)));
        quote! {
            values::#module::Call::#case { #(#names,)* } => {
                let index = instance.get_export_index(&mut *store, Some(interface), #wit).ok_or_else(|| absent(#wit))?;
                let function = instance
                    .get_typed_func::<(#(#types,)*), #types_of_results>(&mut *store, &index)
                    .map_err(|error| unfit(#wit, &error))?;
                let #reply = function.call(&mut *store, (#(#names.clone().convert(),)*))?;
                values::#module::Reply::#case(reply.convert())
            }
        }
    });
    quote! {
        fn #function<T: 'static>(
            store: &mut wasmtime::Store<T>,
            instance: &wasmtime::component::Instance,
            interface: &wasmtime::component::ComponentExportIndex,
            call: &values::#module::Call,
        ) -> wasmtime::Result<values::#module::Reply> {
            Ok(match call { #(#arms)* })
        }
    }
}

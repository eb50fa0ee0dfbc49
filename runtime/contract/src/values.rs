//! Effects, answers, calls and replies as plain values.

use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{Function, Type, TypeDefKind};

use crate::model::{Contract, Interface, Role, camel, snake};
use crate::types::{Flavour, doc};

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

fn capability(contract: &Contract, interface: &Interface) -> TokenStream {
    let (module, docs) = (snake(&interface.name), &interface.docs);
    let definitions = contract.definitions(interface, Flavour::Value, &quote!(crate));
    let (requests, results) = (requests(contract, interface), results(contract, interface));
    let names = arms(interface, |f| {
        let (variant, name) = (camel(&f.name), format!("{}.{}", interface.name, f.name));
        quote!(Self::#variant { .. } => #name,)
    });
    let refusals = arms(interface, |f| {
        let variant = camel(&f.name);
        match contract.fallible(f) {
            true => quote!(Self::#variant { .. } => Some(Answer::#variant(Err(failure))),),
            false => quote!(Self::#variant { .. } => None,),
        }
    });
    let declined = arms(interface, |f| {
        let variant = camel(&f.name);
        match (contract.fallible(f), f.result) {
            (true, _) => quote!(Self::#variant { .. } => Answer::#variant(Err(failure)),),
            (false, Some(_)) => quote!(Self::#variant { .. } => Answer::#variant(Default::default()),),
            (false, None) => quote!(Self::#variant { .. } => Answer::#variant(()),),
        }
    });
    let failures = arms(interface, |f| {
        let variant = camel(&f.name);
        match contract.fallible(f) {
            true => quote!(Self::#variant(result) => result.as_ref().err(),),
            false => quote!(Self::#variant(..) => None,),
        }
    });
    let nodes = arms(interface, |f| {
        let variant = camel(&f.name);
        let nodes: Vec<_> = f.params.iter().filter_map(|p| node(contract, &snake(&p.name), p.ty)).collect();
        let bound = f.params.iter().filter(|p| node(contract, &snake(&p.name), p.ty).is_some()).map(|p| snake(&p.name));
        quote!(Self::#variant { #(#bound,)* .. } => vec![#(#nodes,)*],)
    });
    let methods = arms(interface, |f| {
        let (name, docs, result) = (snake(&f.name), doc(&f.docs), result(contract, f));
        let parameters = parameters(contract, f);
        quote!(#docs fn #name(&mut self #parameters) -> #result;)
    });
    let dispatch = arms(interface, |f| {
        let (variant, method) = (camel(&f.name), snake(&f.name));
        let names: Vec<_> = f.params.iter().map(|p| snake(&p.name)).collect();
        let values = f.params.iter().map(|p| {
            let name = snake(&p.name);
            contract.to_borrowed_expression(p.ty, quote!(#name))
        });
        quote!(Effect::#variant { #(#names,)* } => Answer::#variant(self.#method(#(#values),*)),)
    });
    quote! {
        #[doc = #docs]
        pub mod #module {
            #definitions
            /// One call of this capability as a value.
            #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
            pub enum Effect { #requests }
            /// What came of an [`Effect`] of the same name.
            #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "kebab-case")]
            pub enum Answer { #results }
            impl Effect {
                /// `interface.function`, as the contract spells it.
                pub fn name(&self) -> &'static str { match self { #names } }
                /// The answer that carries this failure; none where the function cannot fail.
                #[allow(unused_variables)]
                pub fn refuse(&self, failure: crate::types::Failure) -> Option<Answer> { match self { #refusals } }
                /// The answer of who carries nothing out: this failure, or of a function that cannot fail the
                /// zero of what it returns.
                #[allow(unused_variables)]
                pub fn decline(&self, failure: crate::types::Failure) -> Answer { match self { #declined } }
                /// The nodes it names, in the order of its parameters.
                pub fn nodes(&self) -> Vec<&crate::types::Node> { match self { #nodes } }
            }
            impl Answer {
                /// The failure, where it is one.
                pub fn failure(&self) -> Option<&crate::types::Failure> { match self { #failures } }
            }
            /// Something that carries these effects out: this machine, a simulation, …
            pub trait Executor {
                #methods
                /// Carries out one effect given as a value.
                #[allow(clippy::unit_arg)]
                fn execute(&mut self, effect: &Effect) -> Answer { match effect { #dispatch } }
            }
        }
    }
}

/// The node that a parameter names: itself, or that of a place.
fn node(contract: &Contract, name: &proc_macro2::Ident, ty: Type) -> Option<TokenStream> {
    let Type::Id(id) = contract.resolved(ty) else { return None };
    match contract.resolve.types[id].name.as_deref() {
        Some("node") => Some(quote!(#name)),
        Some("place") => Some(quote!(&#name.on)),
        _ => None,
    }
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

fn driver(contract: &Contract, interface: &Interface) -> TokenStream {
    let (module, docs) = (snake(world_name(interface)), &interface.docs);
    let definitions = contract.definitions(interface, Flavour::Value, &quote!(crate));
    let (requests, results) = (requests(contract, interface), results(contract, interface));
    let all = interface.functions.iter().filter(|f| f.name != "actions").map(|f| f.name.replace('-', "_"));
    let actions = arms(interface, |f| {
        let (variant, action) = (camel(&f.name), f.name.replace('-', "_"));
        quote!(Self::#variant { .. } => #action,)
    });
    let failures = arms(interface, |f| {
        let variant = camel(&f.name);
        match contract.fallible(f) {
            true => quote!(Self::#variant(result) => result.as_ref().err(),),
            false => quote!(Self::#variant(..) => None,),
        }
    });
    quote! {
        #[doc = #docs]
        pub mod #module {
            #definitions
            /// Every action of this subsystem, as oned and the remotes tree spell it.
            pub const ACTIONS: &[&str] = &[#(#all,)*];
            /// One call of a driver of this subsystem as a value.
            #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
            pub enum Call { #requests }
            /// What the driver returned for the [`Call`] of the same name.
            #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "kebab-case")]
            pub enum Reply { #results }
            impl Call {
                /// The action as oned and the remotes tree spell it, `attach_disk` say.
                pub fn action(&self) -> &'static str { match self { #actions } }
            }
            impl Reply {
                /// The failure, where it is one.
                pub fn failure(&self) -> Option<&crate::types::Failure> { match self { #failures } }
            }
        }
    }
}

fn effects(contract: &Contract) -> TokenStream {
    let pairs: Vec<_> =
        contract.with_role(Role::Capability).map(|i| (camel(&i.name), snake(&i.name), i.docs.clone())).collect();
    let variants = pairs.iter().map(|(variant, module, docs)| quote!(#[doc = #docs] #variant(#module::Effect)));
    let answers = pairs.iter().map(|(variant, module, docs)| quote!(#[doc = #docs] #variant(#module::Answer)));
    let names = pairs.iter().map(|(variant, ..)| quote!(Self::#variant(effect) => effect.name()));
    let refusals = pairs
        .iter()
        .map(|(variant, ..)| quote!(Self::#variant(effect) => effect.refuse(failure).map(Answer::#variant)));
    let declined =
        pairs.iter().map(|(variant, ..)| quote!(Self::#variant(effect) => Answer::#variant(effect.decline(failure))));
    let failures = pairs.iter().map(|(variant, ..)| quote!(Self::#variant(answer) => answer.failure()));
    let nodes = pairs.iter().map(|(variant, ..)| quote!(Self::#variant(effect) => effect.nodes()));
    let bounds = pairs.iter().map(|(_, module, _)| quote!(#module::Executor));
    let arms = pairs.iter().map(|(variant, module, _)| {
        quote!(Effect::#variant(effect) => Answer::#variant(#module::Executor::execute(executor, effect)))
    });
    quote! {
        /// One call of a driver to the outside, as a value.
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Effect { #(#variants,)* }
        /// What came of an [`Effect`].
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Answer { #(#answers,)* }
        impl Effect {
            /// `interface.function`, as the contract spells it.
            pub fn name(&self) -> &'static str { match self { #(#names,)* } }
            /// The answer that carries this failure; none where the function cannot fail.
            pub fn refuse(&self, failure: types::Failure) -> Option<Answer> { match self { #(#refusals,)* } }
            /// The answer of who carries nothing out: this failure, or of a function that cannot fail the zero of
            /// what it returns.
            pub fn decline(&self, failure: types::Failure) -> Answer { match self { #(#declined,)* } }
            /// The nodes it names, in the order of its parameters.
            pub fn nodes(&self) -> Vec<&types::Node> { match self { #(#nodes,)* } }
        }
        impl Answer {
            /// The failure, where it is one.
            pub fn failure(&self) -> Option<&types::Failure> { match self { #(#failures,)* } }
        }
        /// Carries out effects, each to its end, in the order given.
        pub trait Executor {
            /// Carries out one effect.
            fn execute(&mut self, effect: &Effect) -> Answer;
        }
        /// Sends an effect to the capability it belongs to.
        pub fn dispatch<E: #(#bounds)+*>(executor: &mut E, effect: &Effect) -> Answer {
            match effect { #(#arms,)* }
        }
    }
}

fn calls(contract: &Contract) -> TokenStream {
    let pairs: Vec<_> = contract
        .with_role(Role::Driver)
        .map(|i| (camel(world_name(i)), snake(world_name(i)), i.docs.clone(), world_name(i).to_owned()))
        .collect();
    let variants = pairs.iter().map(|(variant, module, docs, _)| quote!(#[doc = #docs] #variant(#module::Call)));
    let replies = pairs.iter().map(|(variant, module, docs, _)| quote!(#[doc = #docs] #variant(#module::Reply)));
    let actions = pairs.iter().map(|(variant, ..)| quote!(Self::#variant(call) => call.action()));
    let asks =
        pairs.iter().map(|(variant, module, _, name)| quote!(#name => Some(Self::#variant(#module::Call::Actions {}))));
    let replied = pairs
        .iter()
        .map(|(variant, module, ..)| quote!(Self::#variant(#module::Reply::Actions(actions)) => Some(actions)));
    let all = pairs.iter().map(|(_, module, _, name)| quote!(#name => #module::ACTIONS));
    let names = pairs.iter().map(|(.., name)| name);
    let subsystems = pairs.iter().map(|(variant, _, _, name)| quote!(Self::#variant(_) => #name));
    let failures = pairs.iter().map(|(variant, ..)| quote!(Self::#variant(reply) => reply.failure()));
    quote! {
        /// One call of a driver's action, as a value.
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Call { #(#variants,)* }
        /// What a driver returned for a [`Call`].
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Reply { #(#replies,)* }
        impl Call {
            /// The action as oned and the remotes tree spell it.
            pub fn action(&self) -> &'static str { match self { #(#actions,)* } }
            /// The call that asks a driver of this subsystem what it implements.
            pub fn actions_of(subsystem: &str) -> Option<Self> { match subsystem { #(#asks,)* _ => None } }
            /// The subsystem, which is also the world's name.
            pub fn subsystem(&self) -> &'static str { match self { #(#subsystems,)* } }
        }
        impl Reply {
            /// The failure, where it is one.
            pub fn failure(&self) -> Option<&types::Failure> { match self { #(#failures,)* } }
            /// The actions, where that was asked.
            pub fn actions(&self) -> Option<&[String]> { match self { #(#replied,)* _ => None } }
        }
        /// Every subsystem that the contract has a world for.
        pub const SUBSYSTEMS: &[&str] = &[#(#names,)*];
        /// Every action of a subsystem, as oned and the remotes tree spell it; none for an unknown one.
        pub fn actions(subsystem: &str) -> &'static [&'static str] { match subsystem { #(#all,)* _ => &[] } }
    }
}

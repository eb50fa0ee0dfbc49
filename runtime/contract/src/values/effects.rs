//! What drivers ask of the outside, and what comes of it.

use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::Type;

use super::{arms, failures, parameters, requests, result, results};
use crate::model::{Contract, Interface, Role, camel, snake};
use crate::types::{Flavour, doc};

/// The module of one capability.
pub fn capability(contract: &Contract, interface: &Interface) -> TokenStream {
    let (module, docs) = (snake(&interface.name), &interface.docs);
    let definitions = contract.definitions(interface, Flavour::Value, &quote!(crate));
    let (requests, results) = (requests(contract, interface), results(contract, interface));
    let (methods, failures) = (effect_methods(contract, interface), failures(contract, interface));
    let executor = executor(contract, interface);
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
            impl Effect { #methods }
            impl Answer {
                /// The failure, where it is one.
                pub fn failure(&self) -> Option<&crate::types::Failure> { match self { #failures } }
            }
            #executor
        }
    }
}

/// What an effect of one capability can be asked.
fn effect_methods(contract: &Contract, interface: &Interface) -> TokenStream {
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
    let nodes = arms(interface, |f| {
        let variant = camel(&f.name);
        let nodes: Vec<_> = f.params.iter().filter_map(|p| node(contract, &snake(&p.name), p.ty)).collect();
        let bound = f.params.iter().filter(|p| node(contract, &snake(&p.name), p.ty).is_some()).map(|p| snake(&p.name));
        quote!(Self::#variant { #(#bound,)* .. } => vec![#(#nodes,)*],)
    });
    quote! {
        /// `interface.function`, as the contract spells it.
        pub fn name(&self) -> &'static str { match self { #names } }
        /// The answer that carries this failure; none where the function cannot fail.
        #[allow(unused_variables)]
        pub fn refuse(&self, failure: crate::types::Failure) -> Option<Answer> { match self { #refusals } }
        /// The answer of who carries nothing out: this failure, or of a function that cannot fail the zero of what
        /// it returns.
        #[allow(unused_variables)]
        pub fn decline(&self, failure: crate::types::Failure) -> Answer { match self { #declined } }
        /// The nodes it names, in the order of its parameters.
        pub fn nodes(&self) -> Vec<&crate::types::Node> { match self { #nodes } }
    }
}

/// The trait of those that carry out the effects of one capability.
fn executor(contract: &Contract, interface: &Interface) -> TokenStream {
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
        /// Something that carries these effects out: this machine, a simulation, …
        pub trait Executor {
            #methods
            /// Carries out one effect given as a value.
            #[allow(clippy::unit_arg)]
            fn execute(&mut self, effect: &Effect) -> Answer { match effect { #dispatch } }
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

/// The enumerations over all capabilities.
pub fn effects(contract: &Contract) -> TokenStream {
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

//! What drivers are called with, and what they reply.

use proc_macro2::TokenStream;
use quote::quote;

use super::{arms, failures, requests, results, world_name};
use crate::model::{Contract, Interface, Role, camel, snake};
use crate::types::Flavour;

/// The module of one subsystem.
pub fn driver(contract: &Contract, interface: &Interface) -> TokenStream {
    let (module, docs) = (snake(world_name(interface)), &interface.docs);
    let definitions = contract.definitions(interface, Flavour::Value, &quote!(crate));
    let (requests, results) = (requests(contract, interface), results(contract, interface));
    let all = interface.functions.iter().filter(|f| f.name != "actions").map(|f| f.name.replace('-', "_"));
    let actions = arms(interface, |f| {
        let (variant, action) = (camel(&f.name), f.name.replace('-', "_"));
        quote!(Self::#variant { .. } => #action,)
    });
    let failures = failures(contract, interface);
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

/// The enumerations over all subsystems.
pub fn calls(contract: &Contract) -> TokenStream {
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

//! WIT types as Rust types, owned and borrowed, and the definitions of the named ones.

use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{Type, TypeDefKind, TypeId};

use crate::model::{Contract, Interface, camel, snake};

/// Which attributes the definitions carry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// plain values with serde's traits
    Value,
    /// types that cross the component boundary
    Component,
}

impl Contract {
    /// The owned Rust type. `root` is the path of the module that holds one module an interface.
    pub fn owned(&self, ty: Type, root: &TokenStream) -> TokenStream {
        match self.resolved(ty) {
            Type::Bool => quote!(bool),
            Type::U8 => quote!(u8),
            Type::U16 => quote!(u16),
            Type::U32 => quote!(u32),
            Type::U64 => quote!(u64),
            Type::S8 => quote!(i8),
            Type::S16 => quote!(i16),
            Type::S32 => quote!(i32),
            Type::S64 => quote!(i64),
            Type::F32 => quote!(f32),
            Type::F64 => quote!(f64),
            Type::Char => quote!(char),
            Type::String => quote!(String),
            Type::ErrorContext => quote!(compile_error!("error-context is not part of the contract")),
            Type::Id(id) => self.owned_defined(id, root),
        }
    }

    fn owned_defined(&self, id: TypeId, root: &TokenStream) -> TokenStream {
        let definition = &self.resolve.types[id];
        let maybe = |ty: &Option<Type>| ty.map_or(quote!(()), |ty| self.owned(ty, root));
        match &definition.kind {
            TypeDefKind::List(inner) => {
                let inner = self.owned(*inner, root);
                quote!(Vec<#inner>)
            }
            TypeDefKind::Option(inner) => {
                let inner = self.owned(*inner, root);
                quote!(Option<#inner>)
            }
            TypeDefKind::Tuple(tuple) => {
                let parts = tuple.types.iter().map(|ty| self.owned(*ty, root));
                quote!((#(#parts,)*))
            }
            TypeDefKind::Result(result) => {
                let (ok, err) = (maybe(&result.ok), maybe(&result.err));
                quote!(Result<#ok, #err>)
            }
            _ => {
                let module = snake(self.owner(id).unwrap_or("types"));
                let name = camel(definition.name.as_deref().unwrap_or("unnamed"));
                quote!(#root::#module::#name)
            }
        }
    }

    /// The type a caller passes: borrowed where it owns memory. Same rules as the bindings of guests.
    pub fn borrowed(&self, ty: Type, root: &TokenStream) -> TokenStream {
        match self.resolved(ty) {
            Type::String => quote!(&str),
            Type::Id(id) => match &self.resolve.types[id].kind {
                TypeDefKind::List(inner) => {
                    let inner = self.owned(*inner, root);
                    quote!(&[#inner])
                }
                TypeDefKind::Option(inner) => {
                    let inner = self.borrowed(*inner, root);
                    quote!(Option<#inner>)
                }
                _ if self.is_copy(ty) => self.owned(ty, root),
                _ => {
                    let owned = self.owned(ty, root);
                    quote!(&#owned)
                }
            },
            _ => self.owned(ty, root),
        }
    }

    /// Makes the owned value of a borrowed parameter.
    pub fn to_owned_expression(&self, ty: Type, value: TokenStream) -> TokenStream {
        match self.resolved(ty) {
            Type::String => quote!(#value.to_owned()),
            Type::Id(id) => match &self.resolve.types[id].kind {
                TypeDefKind::List(_) => quote!(#value.to_vec()),
                TypeDefKind::Option(inner) if !self.is_copy(*inner) => quote!(#value.map(ToOwned::to_owned)),
                _ if self.is_copy(ty) => value,
                _ => quote!(#value.clone()),
            },
            _ => value,
        }
    }

    /// Makes the borrowed parameter of a reference to the owned value.
    pub fn to_borrowed_expression(&self, ty: Type, reference: TokenStream) -> TokenStream {
        match self.resolved(ty) {
            Type::Id(id) => match &self.resolve.types[id].kind {
                TypeDefKind::Option(inner) if self.derefs(*inner) => quote!(#reference.as_deref()),
                TypeDefKind::Option(inner) if !self.is_copy(*inner) => quote!(#reference.as_ref()),
                _ if self.is_copy(ty) => quote!(*#reference),
                _ => reference,
            },
            Type::String => reference,
            _ => quote!(*#reference),
        }
    }

    /// Whether the owned type is borrowed as the one it dereferences to: text and lists.
    fn derefs(&self, ty: Type) -> bool {
        match self.resolved(ty) {
            Type::String => true,
            Type::Id(id) => matches!(self.resolve.types[id].kind, TypeDefKind::List(_)),
            _ => false,
        }
    }

    /// Whether a value owns no memory.
    pub fn is_copy(&self, ty: Type) -> bool {
        match self.resolved(ty) {
            Type::String | Type::ErrorContext => false,
            Type::Id(id) => match &self.resolve.types[id].kind {
                TypeDefKind::Enum(_) => true,
                TypeDefKind::Record(record) => record.fields.iter().all(|field| self.is_copy(field.ty)),
                TypeDefKind::Variant(variant) => {
                    variant.cases.iter().all(|case| case.ty.is_none_or(|ty| self.is_copy(ty)))
                }
                TypeDefKind::Tuple(tuple) => tuple.types.iter().all(|ty| self.is_copy(*ty)),
                TypeDefKind::Option(inner) => self.is_copy(*inner),
                _ => false,
            },
            _ => true,
        }
    }

    /// Definitions of an interface's own types.
    pub fn definitions(&self, interface: &Interface, flavour: Flavour, root: &TokenStream) -> TokenStream {
        interface.types.iter().map(|id| self.definition(*id, flavour, root)).collect()
    }

    fn definition(&self, id: TypeId, flavour: Flavour, root: &TokenStream) -> TokenStream {
        let definition = &self.resolve.types[id];
        let name = camel(definition.name.as_deref().unwrap_or("unnamed"));
        let docs = doc(&definition.docs);
        let copy = self.is_copy(Type::Id(id)).then(|| quote!(Copy, Eq,));
        let plain = self.is_copy(Type::Id(id)).then(|| quote!(Copy,));
        let derives = |kind: TokenStream| match flavour {
            Flavour::Value => quote! {
                #[derive(Debug, Clone, PartialEq, #copy serde::Serialize, serde::Deserialize)]
                #[serde(rename_all = "kebab-case")]
            },
            Flavour::Component => quote! {
                #[derive(Clone, #plain wasmtime::component::ComponentType, wasmtime::component::Lift, wasmtime::component::Lower)]
                #[component(#kind)]
            },
        };
        let rename = |wit: &str| (flavour == Flavour::Component).then(|| quote!(#[component(name = #wit)]));
        match &definition.kind {
            TypeDefKind::Record(record) => {
                let derives = derives(quote!(record));
                let fields = record.fields.iter().map(|field| {
                    let (name, ty, docs) = (snake(&field.name), self.owned(field.ty, root), doc(&field.docs));
                    let bytes = (flavour == Flavour::Value).then(|| self.bytes_attribute(field.ty)).flatten();
                    let rename = rename(&field.name);
                    quote!(#docs #rename #bytes pub #name: #ty)
                });
                quote!(#docs #derives pub struct #name { #(#fields,)* })
            }
            TypeDefKind::Enum(cases) => {
                let derives = derives(quote!(enum));
                let repr = (flavour == Flavour::Component).then(|| quote!(#[repr(u8)]));
                let cases = cases.cases.iter().map(|case| {
                    let (name, docs, rename) = (camel(&case.name), doc(&case.docs), rename(&case.name));
                    quote!(#docs #rename #name)
                });
                quote!(#docs #derives #repr pub enum #name { #(#cases,)* })
            }
            TypeDefKind::Variant(variant) => {
                let derives = derives(quote!(variant));
                let cases = variant.cases.iter().map(|case| {
                    let (name, docs, rename) = (camel(&case.name), doc(&case.docs), rename(&case.name));
                    let payload = case.ty.map(|ty| self.owned(ty, root)).map(|ty| quote!((#ty)));
                    quote!(#docs #rename #name #payload)
                });
                quote!(#docs #derives pub enum #name { #(#cases,)* })
            }
            _ => quote!(compile_error!("the contract uses a kind of type that the generator does not know");),
        }
    }

    /// serde's attribute for byte strings: base64 in JSON.
    pub fn bytes_attribute(&self, ty: Type) -> Option<TokenStream> {
        let Type::Id(id) = self.resolved(ty) else { return None };
        match self.resolve.types[id].kind {
            TypeDefKind::List(Type::U8) => Some(quote!(#[serde(with = "crate::bytes")])),
            _ => None,
        }
    }
}

pub fn doc(docs: &wit_parser::Docs) -> TokenStream {
    match &docs.contents {
        Some(text) => quote!(#[doc = #text]),
        None => quote!(#[allow(missing_docs)]),
    }
}

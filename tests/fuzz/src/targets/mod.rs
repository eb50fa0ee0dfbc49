//! The targets, and what several of them hold inputs against.

pub mod action_document;
pub mod arguments;
pub mod component;
pub mod domain_document;
pub mod frame;
pub mod policy;
pub mod settings;
pub mod vm_document;

use remotes_effect::policy::Policy;

/// Policies without what tests of the whole add to them.
const SHIPPED: &str = include_str!("../../../../guests/vmm-kvm/policy.toml");

/// The policy that vmm/kvm is shipped with.
fn shipped() -> &'static Policy {
    static POLICY: std::sync::OnceLock<Policy> = std::sync::OnceLock::new();
    POLICY.get_or_init(|| Policy::parse(SHIPPED, std::path::Path::new("policy.toml")).unwrap())
}

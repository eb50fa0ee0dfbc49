//! libvirt's errors: its wording (`src/util/virerror.c`) and the kind that each of its codes is.

use remotes_effect::types::{Failure, FailureKind};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $kind:ident $prefix:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) fn $name(message: impl std::fmt::Display) -> Failure {
                by_message(Failure::$kind(format!(concat!($prefix, "{}"), message)))
            }
        )*
    };
}

codes! {
    /// VIR_ERR_OPERATION_INVALID
    operation_invalid failed "Requested operation is not valid: ";
    /// VIR_ERR_OPERATION_FAILED
    operation_failed failed "operation failed: ";
    /// VIR_ERR_INTERNAL_ERROR
    internal failed "internal error: ";
    /// VIR_ERR_SYSTEM_ERROR
    system failed "";
    /// VIR_ERR_XML_ERROR
    xml_error invalid "XML error: ";
    /// VIR_ERR_INVALID_ARG
    invalid_arg invalid "invalid argument: ";
    /// VIR_ERR_CONFIG_UNSUPPORTED
    config_unsupported unsupported "unsupported configuration: ";
    /// VIR_ERR_OPERATION_UNSUPPORTED
    operation_unsupported unsupported "Operation not supported: ";
    /// VIR_ERR_ARGUMENT_UNSUPPORTED
    argument_unsupported unsupported "argument unsupported: ";
    /// VIR_ERR_NO_DOMAIN
    no_domain not_found "Domain not found: ";
    /// VIR_ERR_NO_DOMAIN_SNAPSHOT
    no_snapshot not_found "Domain snapshot not found: ";
    /// VIR_ERR_NO_DOMAIN_METADATA
    no_metadata not_found "metadata not found: ";
    /// VIR_ERR_NO_DOMAIN_CHECKPOINT
    no_checkpoint not_found "Domain checkpoint not found: ";
    /// VIR_ERR_MIGRATE_UNSAFE
    migrate_unsafe failed "Unsafe migration: ";
    /// VIR_ERR_BLOCK_COPY_ACTIVE
    block_copy_active busy "block copy still active: ";
    /// VIR_ERR_NO_STORAGE_POOL
    no_storage_pool failed "Storage pool not found: ";
    /// VIR_ERR_DEVICE_MISSING
    device_missing not_found "device not found: ";
    /// VIR_ERR_AGENT_UNRESPONSIVE
    agent_unresponsive unavailable "Guest agent is not responding: ";
}

/// What every operation on an inactive domain comes to.
pub(super) fn not_running() -> Failure {
    operation_invalid("domain is not running")
}

/// libvirt reports some of what drivers react to only in words: the executor of a real machine goes by
/// them where the code says nothing, and so does this one.
fn by_message(failure: Failure) -> Failure {
    let says = |words: &[&str]| words.iter().any(|words| failure.message.contains(words));
    let kind = match failure.kind {
        FailureKind::Failed | FailureKind::Invalid if says(&["active block job", "is in use", "is busy"]) => {
            FailureKind::Busy
        }
        FailureKind::Failed | FailureKind::Invalid
            if says(&["already exists", "is already defined", "is already active"]) =>
        {
            FailureKind::Exists
        }
        kind => kind,
    };
    Failure { kind, ..failure }
}

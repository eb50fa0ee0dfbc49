//! libvirt's errors: its wording (`src/util/virerror.c`) and the kind that each of its codes is.

use remotes_effect::types::Failure;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $kind:ident $prefix:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) fn $name(message: impl std::fmt::Display) -> Failure {
                Failure::$kind(format!(concat!($prefix, "{}"), message))
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
    /// VIR_ERR_DEVICE_MISSING
    device_missing not_found "device not found: ";
    /// VIR_ERR_AGENT_UNRESPONSIVE
    agent_unresponsive unavailable "Guest agent is not responding: ";
    /// VIR_ERR_OPERATION_FAILED and _INVALID where the reason is a domain that is there already.
    taken exists "operation failed: ";
    /// The same.
    active_already exists "Requested operation is not valid: ";
}

/// What every operation on an inactive domain comes to.
pub(super) fn not_running() -> Failure {
    operation_invalid("domain is not running")
}

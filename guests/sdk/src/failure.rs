//! Making failures, and putting the operator's line in the place of a capability's.

use crate::Failure;

#[cfg(target_family = "wasm")]
macro_rules! constructors {
    ($($name:ident $kind:ident,)*) => {
        impl Failure {
            $(
                #[doc = concat!("A failure of kind `", stringify!($kind), "`.")]
                pub fn $name(message: impl Into<String>) -> Self {
                    Self { kind: crate::FailureKind::$kind, message: message.into() }
                }
            )*
        }
    };
}

// Natively the type is the runtime's own, which has the same constructors.
#[cfg(target_family = "wasm")]
constructors! {
    denied Denied,
    invalid Invalid,
    not_found NotFound,
    exists Exists,
    busy Busy,
    timeout Timeout,
    unavailable Unavailable,
    unsupported Unsupported,
    unknown Unknown,
    failed Failed,
}

/// For results of capabilities.
pub trait Explain<T> {
    /// On failure logs the capability's own message as an error and puts `line` in its place: what
    /// OpenNebula shows to the user. The kind stays.
    fn explain(self, line: impl FnOnce() -> String) -> Result<T, Failure>;

    /// On failure logs a warning, led by `line`, and goes on without a value.
    fn or_warn(self, line: &str) -> Option<T>;
}

impl<T> Explain<T> for Result<T, Failure> {
    fn explain(self, line: impl FnOnce() -> String) -> Self {
        self.map_err(|failure| {
            crate::error!("{}", failure.message);
            Failure { kind: failure.kind, message: line() }
        })
    }

    fn or_warn(self, line: &str) -> Option<T> {
        self.map_err(|failure| crate::warning!("{line}: {}", failure.message)).ok()
    }
}

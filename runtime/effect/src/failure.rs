//! Making failures: `Failure::not_found("domain one-5 does not exist")`.

use crate::types::{Failure, FailureKind};

macro_rules! constructors {
    ($($name:ident $kind:ident,)*) => {
        impl Failure {
            $(
                #[doc = concat!("A failure of kind `", stringify!($kind), "`.")]
                pub fn $name(message: impl Into<String>) -> Self {
                    Self { kind: FailureKind::$kind, message: message.into() }
                }
            )*
        }
    };
}

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

impl FailureKind {
    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::Exists => "exists",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.kind.name(), self.message)
    }
}

impl std::error::Error for Failure {}

//! `error!`, `warning!`, `info!` and `debug!`: lines in OpenNebula's log of the virtual machine.

/// Logs an error: what an operator has to know.
#[macro_export]
macro_rules! error {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($argument)*)) };
}

/// Logs a warning: the action goes on, with less than was wanted.
#[macro_export]
macro_rules! warning {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Warning, &::std::format!($($argument)*)) };
}

/// Logs what an operator may like to know.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($argument)*)) };
}

/// Logs what helps to find an error.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($argument)*)) };
}

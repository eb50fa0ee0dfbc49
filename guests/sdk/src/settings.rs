//! The driver's configuration (kvmrc and its like) in the types that drivers want. An empty value
//! counts as an absent one, as it does for the shell.

use crate::{Failure, configuration, warning};

/// The value of a key.
pub fn text(key: &str) -> Result<Option<String>, Failure> {
    Ok(configuration::get(key)?.filter(|value| !value.is_empty()))
}

/// The value of a key, or this one.
pub fn text_or(key: &str, default: &str) -> Result<String, Failure> {
    Ok(text(key)?.unwrap_or_else(|| default.to_owned()))
}

/// Whether a key is `yes`, as the shell compares it: in small letters. Where it is meant to be but is not
/// written so, a warning says it.
pub fn yes(key: &str) -> Result<bool, Failure> {
    let Some(value) = text(key)? else { return Ok(false) };
    if value != "yes" && value.trim().eq_ignore_ascii_case("yes") {
        warning!("{key}={value} counts as no: only `yes` in small letters is one");
    }
    Ok(value == "yes")
}

/// Whether a key is `yes` in any case of letters, where a stock script in Ruby asks.
pub fn yes_in_any_case(key: &str) -> Result<bool, Failure> {
    Ok(text(key)?.is_some_and(|value| value.eq_ignore_ascii_case("yes")))
}

/// A whole number, or the default where the key is absent. What is not a number is worth a warning,
/// not a failed action.
pub fn number(key: &str, default: u64) -> Result<u64, Failure> {
    let Some(value) = text(key)? else { return Ok(default) };
    Ok(value.trim().parse().unwrap_or_else(|_| {
        warning!("{key}={value} is not a whole number; {default} is used");
        default
    }))
}

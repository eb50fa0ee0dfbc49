//! Makes traits, bindings and native capabilities of the contract.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    remotes_contract::write(remotes_contract::author, Path::new("../../wit"), "author.rs")
}

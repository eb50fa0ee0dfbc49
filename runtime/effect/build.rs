//! Generates the values of the contract.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    remotes_contract::write(remotes_contract::values, Path::new("../../wit"), "contract.rs")
}

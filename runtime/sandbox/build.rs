//! Generates the component side of the contract.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    remotes_contract::write(remotes_contract::linking, Path::new("../../wit"), "linking.rs")
}

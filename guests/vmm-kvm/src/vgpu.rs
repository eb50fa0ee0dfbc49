//! NVIDIA vGPUs: made before the domain starts, removed when it has gone, by the tool `vgpu`, which
//! looks for `PCI/UUID` in the virtual machine's `vm.xml`.

use remotes_sdk::xml::Document;
use remotes_sdk::{Explain, Failure, at, clean, filesystem, warning};

use crate::domain::Facts;
use crate::tool;

/// Makes the vGPUs of the virtual machine in this folder.
pub fn create(facts: &Facts, directory: &str) {
    if facts.host_devices {
        call("CREATE", directory).or_warn("vGPUs are not created");
    }
}

/// Removes the vGPUs of the virtual machine that was described so.
pub fn delete(facts: &Facts) {
    if facts.host_devices {
        match &facts.directory {
            Some(directory) => call("DELETE", directory).or_warn("vGPUs are not removed").unwrap_or_default(),
            None => warning!("vGPUs are not removed: the domain's metadata do not tell the virtual machine's folder"),
        }
    }
}

fn call(verb: &str, directory: &str) -> Result<(), Failure> {
    let file = format!("{}/vm.xml", clean(directory));
    let content = filesystem::read(&at(&file))?;
    let text = String::from_utf8_lossy(&content);
    let has_vgpu = Document::parse(&text)?.elements("TEMPLATE/PCI/UUID").iter().any(|uuid| uuid.value().is_some());
    if has_vgpu {
        // Its result does not count, as ever: that a vGPU exists already is no reason to stop here.
        tool::run("vgpu", &[verb.to_owned(), file], "")?;
    }
    Ok(())
}

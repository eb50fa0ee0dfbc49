//! Starts a transient domain from oned's description, with all that it needs made before.

use remotes_sdk::xml::Document;
use remotes_sdk::{Explain, Failure, at, filesystem, here, libvirt, parent};

use crate::domain::Facts;
use crate::{disks, firmware, memory, snapshots, vgpu, vtpm};

pub fn run(file: &str, description: &str) -> Result<String, Failure> {
    let directory = parent(file);
    let created = start(file, directory, description).explain(|| format!("Could not create domain from {file}"))?;
    snapshots::redefine(&created.uuid, directory, || Ok(created.uuid.clone()));
    Ok(created.uuid)
}

fn start(file: &str, directory: &str, description: &str) -> Result<libvirt::Domain, Failure> {
    let document = Document::parse(description)?;
    let facts = Facts::of(&document);
    filesystem::make_directory(&at(directory), 0o755)?;
    let xml = disks::resolved(description, &document)?;
    // It holds the console's password.
    filesystem::write(&at(file), xml.as_bytes(), 0o600)?;
    memory::compact_on_start();
    firmware::prepare(&document)?;
    vgpu::create(&facts, directory);
    vtpm::recover(&facts, directory)?;
    libvirt::create(&here(), &xml, false)
}

//! Descriptions recorded from a front-end: each lives through a life, in the world and in a plan.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;

use common::virt::*;
use common::*;
use remotes_effect::Executor;
use remotes_effect::libvirt::{Scope, State};
use remotes_effect::policy::{check_encoding, domain_name};
use remotes_simulation::{Plan, Simulation, describe};

/// What oned sent to `deploy`, by file.
fn recorded() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/frontend/vmm");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("kvm-deploy-"));
    files.sort();
    let read = |file: &Path| {
        let call: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        call["stdin"].as_str().unwrap().to_owned()
    };
    files.iter().map(|file| (file.display().to_string(), read(file))).collect()
}

fn life<E: Executor>(executor: &mut E, document: &str) {
    let made = create(executor, document, false).unwrap();
    assert_eq!(made.name, domain_name(document).unwrap());
    let datastore = metadata(executor, &made.uuid, ONE).unwrap();
    assert!(datastore.starts_with("<vm>"), "{datastore}");
    assert!(datastore.contains("<system_datastore>/var/lib/one//datastores/"), "{datastore}");
    let text = xml(executor, &made.uuid).unwrap();
    check_encoding(&text).unwrap();
    assert_eq!(domain_name(&text).unwrap(), made.name);
    let disk = "<disk type='file' device='disk'><source file='/e'/><target dev='vdz'/></disk>";
    attach(executor, &made.uuid, disk, Scope::Live).unwrap();
    detach(executor, &made.uuid, disk, Scope::Live).unwrap();
    assert_eq!(xml(executor, &made.uuid).unwrap(), text);
    save(executor, &made.uuid, "/ds/checkpoint").unwrap();
    let saved = saved_xml(executor, "/ds/checkpoint").unwrap();
    assert_eq!(saved, document.trim());
    restore(executor, "/ds/checkpoint", Some(&saved.replace("/datastores/", "/other/"))).unwrap();
    assert!(!xml(executor, &made.name).unwrap().contains("/datastores/1"));
    shutdown(executor, &made.uuid).unwrap();
    while find(executor, &made.uuid).is_ok() {}
}

#[test]
fn recorded_machines_live() {
    let documents = recorded();
    assert!(documents.len() >= 4);
    for (file, document) in documents {
        println!("{file}");
        let mut world = Simulation::new()
            .directory("/ds")
            .domain(&description("other", "11111111-2222-4333-8444-555555555555"), State::Running);
        let before = world.here.clone();
        let mut plan = Plan::new(&mut world);
        life(&mut plan, &document);
        let planned: Vec<_> = plan.steps().iter().map(describe).collect();
        assert_eq!(planned.len(), 6);
        assert!(planned[0].starts_with("libvirt.create one-") && planned[0].ends_with(" MiB)"), "{}", planned[0]);
        assert_eq!(world.here, before);
        life(&mut world, &document);
        assert_eq!(world.domains().count(), 1);
    }
}

//! Simulated effects a second through policy and journal.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use remotes_effect::journal::Lines;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::{Node, Place};
use remotes_effect::{Effect, filesystem, libvirt};
use remotes_simulation::Simulation;

use crate::Row;

const COUNT: u32 = 200_000;
const LEAST: f64 = 100_000.0;

pub fn row() -> Result<Row> {
    let policy = "schema = 1\n[libvirt]\nuris = [\"**\"]\ndomains = [\"one-*\"]\n[paths]\n\"/d\" = \"rw\"\n[limits]\neffects = 100000000\n";
    let policy = Arc::new(Policy::parse(policy, Path::new("bench"))?);
    let simulation = Simulation::new().directory("/d").file("/d/vm.xml", b"<VM/>");
    let journal = Lines::new(tempfile::tempfile()?, "bench".into(), |_| ());
    let mut pipeline = Pipeline::new(policy, journal, simulation);
    let started = Instant::now();
    for turn in 0..COUNT {
        // What actions do most: look at files, look domains up, ask for what is not granted.
        let effect = match turn % 3 {
            0 => {
                Effect::Filesystem(filesystem::Effect::Stat { at: Place { on: Node::Here, path: "/d/vm.xml".into() } })
            }
            1 => Effect::Libvirt(libvirt::Effect::Find { on: Node::Here, domain: "one-7".into() }),
            _ => Effect::Filesystem(filesystem::Effect::Stat { at: Place { on: Node::Here, path: "/etc".into() } }),
        };
        pipeline.perform(effect)?;
    }
    let rate = f64::from(COUNT) / started.elapsed().as_secs_f64();
    Ok(Row {
        what: "simulated effects a second, through policy and journal".into(),
        ours: format!("{rate:.0} /s"),
        theirs: String::new(),
        figure: rate,
        target: format!("≥ {LEAST:.0} /s"),
        kept: rate >= LEAST,
    })
}

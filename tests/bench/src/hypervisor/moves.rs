//! A running machine that moves to another hypervisor, with storage that both see: both ways by ssh, as the driver
//! does it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use remotes_integration::Tree;
use remotes_integration::hosts::{Hosts, TO, virsh};
use remotes_test_support::{Guest, Pair};

use crate::Row;
use crate::measure::{median, time};
use crate::scene::Scene;

/// `migrate`, against `virsh migrate`.
pub fn row(scene: &Scene, runs: usize) -> Result<Row> {
    let bridge = std::env::current_exe()?.with_file_name("socket-bridge");
    if !bridge.is_file() {
        bail!("{}: `make bench` builds it", bridge.display());
    }
    let hosts = Hosts::with(&bridge, |root| copied(scene, root));
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for id in (300..).step_by(2).take(runs) {
        let a = moved(&hosts, id, by_driver)?;
        let b = moved(&hosts, id + 1, by_hand)?;
        ours.push(a);
        theirs.push(b);
        ratios.push(a / b);
    }
    let row = super::row("migrate, against virsh".to_owned(), median(ours), median(theirs), median(ratios));
    Ok(row)
}

fn copied(scene: &Scene, root: &Path) -> Tree {
    let status = Command::new("cp").arg("-a").arg(scene.root()).arg(root).stdin(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "the tree cannot be copied");
    Tree::at(root)
}

/// Milliseconds of a new machine's move.
fn moved(hosts: &Hosts, id: u32, way: fn(&Hosts, &Guest) -> Result<f64>) -> Result<f64> {
    let guest = hosts.on_shared_storage(id);
    let took = way(hosts, &guest).with_context(|| guest.name.clone())?;
    virsh(&hosts.pair.destination, &["destroy", &guest.name]);
    Ok(took)
}

fn by_driver(hosts: &Hosts, guest: &Guest) -> Result<f64> {
    let document = hosts.path("document");
    std::fs::write(&document, Hosts::document(guest, "YES", &guest.folder))?;
    time(hosts.command("migrate", &Hosts::arguments(guest, TO)), Some(&document))
}

fn by_hand(hosts: &Hosts, guest: &Guest) -> Result<f64> {
    let mut command = hosts.room(Path::new("/usr/bin/virsh"));
    command.args(["--connect", hosts.pair.source.uri(), "migrate", "--live", "--unsafe", &guest.name]);
    command.args([&format!("qemu+ssh://{TO}/system"), "--migrateuri", Pair::MIGRATE_URI]);
    time(command, None)
}

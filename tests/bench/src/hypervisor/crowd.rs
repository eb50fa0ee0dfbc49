//! Many actions at once on one host.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use remotes_integration::calls::file;
use remotes_test_support::Guest;

use super::host::Host;
use crate::Row;
use crate::measure::median;

const MACHINES: u32 = 50;
const ROUNDS: usize = 3;
/// Of the time that the hypervisor takes by itself.
const MOST: f64 = 1.3;

/// Machines that start, and machines that are ended.
pub fn rows(host: &Host) -> Result<Vec<Row>> {
    host.stop()?;
    let guests: Vec<Guest> = (101..101 + MACHINES).map(|id| host.scene.guest(id)).collect();
    for guest in &guests {
        std::fs::write(file(guest, "deployment"), guest.xml())?;
    }
    let ours = |action: &str| at_once(&guests, |guest| host.scene.command(action, guest));
    let (mut deploys, mut cancels) = (Pairs::default(), Pairs::default());
    for _ in 0..ROUNDS {
        deploys.ours.push(ours("deploy")?);
        cancels.ours.push(ours("cancel")?);
        deploys.theirs.push(at_once(&guests, |guest| host.virsh_without(&["create", &file(guest, "deployment")]))?);
        cancels.theirs.push(at_once(&guests, |guest| host.virsh_without(&["destroy", &guest.name]))?);
    }
    Ok(vec![
        deploys.row("50 deploys at once, against 50 times virsh create"),
        cancels.row("50 cancels at once, against 50 times virsh destroy"),
    ])
}

#[derive(Default)]
struct Pairs {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Pairs {
    fn row(self, what: &str) -> Row {
        let ratios = self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs);
        let figure = median(ratios.collect());
        let row = super::row(what.to_owned(), median(self.ours), median(self.theirs), figure);
        Row { target: format!("≤ {MOST} ×"), kept: figure <= MOST, ..row }
    }
}

/// Milliseconds until all have succeeded.
fn at_once(guests: &[Guest], command: impl Fn(&Guest) -> Command) -> Result<f64> {
    let started = Instant::now();
    let mut running = Vec::new();
    for guest in guests {
        let mut command = command(guest);
        command.stdin(File::open(file(guest, "deployment"))?).stdout(Stdio::null()).stderr(Stdio::piped());
        running.push(command.spawn().with_context(|| format!("{command:?}"))?);
    }
    // None is left behind when one fails.
    let ended: Vec<_> = running.into_iter().map(std::process::Child::wait_with_output).collect();
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    for output in ended {
        let output = output?;
        if !output.status.success() {
            bail!("one of {}: {}", guests.len(), String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    Ok(elapsed)
}

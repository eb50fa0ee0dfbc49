//! Actions of vmm/kvm on machines of a private libvirtd, through their stubs: against virsh doing the same, and
//! against the stock scripts where there are some.

mod actions;
mod crowd;
mod host;
mod moves;
mod stock;

use std::process::Command;

use anyhow::{Context, Result};

use crate::measure::{median, pairs, time};
use crate::{Options, Row, ratio};
use actions::{ACTIONS, AGENT, INTERFACES, Measured};
use host::Host;
use stock::Stock;

/// The least that counts as overhead, in milliseconds: what is below it is noise.
const NOISE: f64 = 0.5;

/// The rows of any host.
pub fn rows(scene: &crate::scene::Scene, options: &Options) -> Result<Vec<Row>> {
    let host = Host::new(scene)?;
    let mut rows = vec![reboot(&host, options)?, native(&host, options)?];
    let mut overheads = Vec::new();
    rows.extend(each(&host, options, ACTIONS, &mut overheads)?);
    rows.extend(summary("", &overheads));
    rows.push(moves::row(scene, (options.runs / 40).max(3))?);
    rows.extend(crowd::rows(&host)?);
    Ok(rows)
}

/// The rows of a host with a bridge, and of a machine with an agent.
pub fn bridged(scene: &crate::scene::Scene, options: &Options) -> Result<Vec<Row>> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("attach_nic, detach_nic and exec are left out: a host of one's own needs root");
        return Ok(Vec::new());
    }
    let mut overheads = Vec::new();
    let mut rows = each(&Host::bridged(scene)?, options, INTERFACES, &mut overheads)?;
    match Host::answering(scene)? {
        Some(host) => rows.extend(each(&host, options, AGENT, &mut overheads)?),
        None => eprintln!("exec is left out: there is no kernel for a guest with an agent; run `make setup`"),
    }
    rows.extend(summary(" of these", &overheads));
    Ok(rows)
}

fn reboot(host: &Host, options: &Options) -> Result<Row> {
    let ours = || host.action("reboot");
    let pairs = pairs(options.runs / 8, ours, || host.virsh(&["reboot"]), || host.settle())?;
    Ok(ratio("reboot of a running domain, against virsh reboot", &pairs, 1.2))
}

fn native(host: &Host, options: &Options) -> Result<Row> {
    let program = std::env::current_exe()?.with_file_name("native-action");
    let native = || {
        let mut command = Command::new(&program);
        command.arg(host.scene.tree.root()).arg("vmm/kvm/reset");
        command.args(remotes_integration::calls::arguments("reset", &host.guest));
        command
    };
    let pairs = pairs(options.runs / 8, || host.action("reset"), native, || host.settle())?;
    Ok(ratio("driver in WebAssembly, against the same compiled natively (reset)", &pairs, 1.1))
}

/// What an action took, each way, in milliseconds.
struct Took {
    ours: f64,
    virsh: f64,
    stock: Option<f64>,
}

/// A row for each action; what it takes above the hypervisor's own time, and what the stock script does, are added to
/// `overheads`.
fn each(host: &Host, options: &Options, actions: &[Measured], overheads: &mut Vec<(f64, f64)>) -> Result<Vec<Row>> {
    let stock = Stock::of_environment(host)?;
    // What virsh takes to start, to connect and to ask: the rest of its time is the hypervisor's.
    let idle = (0..options.runs / 8).map(|_| time(host.virsh(&["dominfo"]), None)).collect::<Result<_>>()?;
    let idle = median(idle);
    let mut rows = Vec::new();
    for measured in actions {
        let took = all_ways(host, stock.as_ref(), measured, (options.runs / 40).max(3))
            .with_context(|| measured.action.to_owned())?;
        rows.push(row(format!("{}, against virsh", measured.action), took.ours, took.virsh, took.ours / took.virsh));
        if let Some(stock) = took.stock {
            let what = format!("{}, the stock script's time to ours", measured.action);
            rows.push(row(what, took.ours, stock, stock / took.ours));
            let own = (took.virsh - idle).max(0.0);
            let overhead = |time: f64| (time - own).max(NOISE);
            overheads.push((overhead(took.ours), overhead(stock)));
        }
    }
    Ok(rows)
}

fn row(what: String, ours: f64, theirs: f64, figure: f64) -> Row {
    let [ours, theirs] = [ours, theirs].map(|time| format!("{time:.1} ms"));
    Row { what: what.into(), ours, theirs, figure, target: String::new(), kept: true }
}

/// What remains of some actions above the hypervisor's own time; none where there are no stock scripts.
fn summary(which: &str, overheads: &[(f64, f64)]) -> Option<Row> {
    const LEAST: f64 = 5.0;
    if overheads.is_empty() {
        return None;
    }
    let count = overheads.len() as f64;
    let mean = |values: &dyn Fn(&(f64, f64)) -> f64| {
        (overheads.iter().map(|pair| values(pair).ln()).sum::<f64>() / count).exp()
    };
    let [ours, stock] = [mean(&|pair| pair.0), mean(&|pair| pair.1)];
    let what = format!("overhead{which} above the hypervisor's own time, stock scripts to ours (geometric means)");
    let figure = stock / ours;
    Some(Row { target: format!("≥ {LEAST} ×"), kept: figure >= LEAST, ..row(what, ours, stock, figure) })
}

/// Each way in turn, so that the machine's mood is the same for all.
fn all_ways(host: &Host, stock: Option<&Stock>, measured: &Measured, runs: usize) -> Result<Took> {
    let (mut ours, mut virsh, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let input = host.input(measured.action)?;
    for _ in 0..runs {
        (measured.before)(host)?;
        ours.push(time(host.action(measured.action), Some(&input))?);
        (measured.before)(host)?;
        virsh.push(host.timed(|| (measured.by_hand)(host))?);
        if let Some(stock) = stock {
            (measured.before)(host)?;
            theirs.push(time(stock.action(host, measured.action), Some(&input))?);
        }
    }
    Ok(Took { ours: median(ours), virsh: median(virsh), stock: stock.map(|_| median(theirs)) })
}

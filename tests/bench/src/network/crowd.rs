//! A host with many machines: the next one costs no more than the first.

use std::process::Command;

use anyhow::{Context, Result};

use super::machine::Vm;
use super::{Host, run};
use crate::Row;
use crate::measure::median;
use crate::measure::step::time;

/// Machines before the one that is measured, and interfaces of each.
const MACHINES: u32 = 200;
const NICS: u32 = 3;
/// No more than this, as a ratio.
const MOST: f64 = 1.5;

/// What a `post` took, and how many rules it made.
struct Post {
    milliseconds: f64,
    rules: usize,
}

pub fn rows(host: &Host<'_>) -> Result<Vec<Row>> {
    run("ip link add name br0 type bridge")?;
    run("ip link set dev br0 up")?;
    let first = measured(host, 1001)?;
    for id in 1001..1001 + MACHINES {
        prepare(host, id)?;
        post(host, id)?;
    }
    let last = measured(host, 1001 + MACHINES)?;
    let row = |what: &'static str, ours: String, theirs: String, figure: f64| Row {
        what: what.into(),
        ours,
        theirs,
        figure,
        target: format!("≤ {MOST} ×"),
        kept: figure <= MOST,
    };
    Ok(vec![
        row(
            "post of the 201st machine with 3 interfaces, against the first",
            format!("{:.1} ms", last.milliseconds),
            format!("{:.1} ms", first.milliseconds),
            last.milliseconds / first.milliseconds,
        ),
        row(
            "rules of the 201st machine, against the first's",
            last.rules.to_string(),
            first.rules.to_string(),
            last.rules as f64 / first.rules as f64,
        ),
    ])
}

fn vm(id: u32) -> Vm {
    Vm::new(id, NICS, "fw")
}

fn prepare(host: &Host<'_>, id: u32) -> Result<()> {
    for tap in vm(id).taps() {
        run(&format!("ip tuntap add dev {tap} mode tap"))?;
        run(&format!("ip link set dev {tap} master br0 up"))?;
    }
    host.knows(&vm(id))
}

fn post(host: &Host<'_>, id: u32) -> Result<f64> {
    let document = host.file("crowd", &vm(id).message(1, 5))?;
    time(&[host.action("fw", "post", &document, &[&format!("one-{id}"), "node1"])])
}

/// The middle of several, each on a host as it was.
fn measured(host: &Host<'_>, id: u32) -> Result<Post> {
    prepare(host, id)?;
    let before = rules()?;
    let mut took = Vec::new();
    let mut made = 0;
    for _ in 0..host.runs.max(5) {
        took.push(post(host, id)?);
        made = rules()? - before;
        let document = host.file("crowd", &vm(id).message(1, 5))?;
        time(&[host.action("fw", "clean", &document, &["node1"])])?;
    }
    vm(id).taps().try_for_each(|tap| run(&format!("ip link delete dev {tap}")))?;
    Ok(Post { milliseconds: median(took), rules: made })
}

/// Rules of machines, of both families.
fn rules() -> Result<usize> {
    let mut count = 0;
    for program in ["iptables-save", "ip6tables-save"] {
        let output = Command::new(program).output().context(program)?;
        let listing = String::from_utf8_lossy(&output.stdout).into_owned();
        count += listing.lines().filter(|line| line.starts_with("-A") && line.contains("one-")).count();
    }
    Ok(count)
}

//! `make bench`: every promise about speed and memory as a ratio within one run, as a table and as JSON.
#![forbid(unsafe_code)]

mod effects;
mod measure;
mod network;
mod scene;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Parser;
use comfy_table::{Table, presets};
use serde::Serialize;

use measure::{memory, pairs};
use scene::{Machine, Scene};

/// Measures the runtime's promises.
#[derive(Parser)]
struct Options {
    /// Where the release build was staged
    #[arg(long, env = "REMOTES_DIST", default_value = "target/dist-release")]
    dist: PathBuf,
    /// Pairs of runs of short commands
    #[arg(long, default_value_t = 200)]
    runs: usize,
    /// Where the figures go as JSON
    #[arg(long, default_value = "target/bench.json")]
    output: PathBuf,
    /// Only the rows of network actions
    #[arg(long)]
    network: bool,
    /// Only report the peak memory of the command that follows (used by this program itself)
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    peak: Vec<String>,
}

/// One promise with what was measured.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    ours: String,
    theirs: String,
    /// Ours to theirs, median of pairs; or the figure itself.
    figure: f64,
    target: String,
    kept: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.peak.is_empty() {
        return memory::report(&options.peak);
    }
    let scene = Scene::new(&options.dist)?;
    let mut rows = Vec::new();
    if !options.network {
        rows.extend([stub(&scene, &options), effects::row()?, peak(&scene)?]);
        let machine = Machine::new(&scene)?;
        rows.push(reboot(&machine, &options));
        rows.push(native(&machine, &options)?);
    }
    rows.extend(network::rows(&scene, &options)?);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["WHAT", "OURS", "AGAINST", "FIGURE", "TARGET", ""]);
    for row in &rows {
        let figure = format!("{:.2}", row.figure);
        let kept = if row.kept { "kept" } else { "MISSED" };
        table.add_row([row.what, &row.ours, &row.theirs, &figure, &row.target, kept]);
    }
    println!("{}", table.trim_fmt());
    std::fs::write(&options.output, serde_json::to_string_pretty(&rows)?)
        .with_context(|| options.output.display().to_string())
}

fn ratio(what: &'static str, pairs: &measure::Pairs, most: f64) -> Row {
    Row {
        what,
        ours: format!("{:.2} ms", pairs.ours),
        theirs: format!("{:.2} ms", pairs.theirs),
        figure: pairs.ratio,
        target: format!("≤ {most} ×"),
        kept: pairs.ratio <= most,
    }
}

fn stub(scene: &Scene, options: &Options) -> Row {
    let ours = || scene.action("dummy", "reboot", &["one-1", "localhost", "1", "localhost"]);
    let pairs = pairs(options.runs, ours, || Command::new("/bin/true"), || {});
    ratio("whole action through the stub, against /bin/true", &pairs, 5.0)
}

fn reboot(machine: &Machine, options: &Options) -> Row {
    let pairs = pairs(options.runs / 8, || machine.reboot(), || machine.virsh("reboot"), || machine.settle());
    ratio("reboot of a running domain, against virsh reboot", &pairs, 1.2)
}

fn native(machine: &Machine, options: &Options) -> Result<Row> {
    let native = std::env::current_exe()?.with_file_name("native-action");
    let pairs = pairs(options.runs / 8, || machine.reset(), || machine.native(&native, "reset"), || machine.settle());
    Ok(ratio("driver in WebAssembly, against the same compiled natively (reset)", &pairs, 1.1))
}

fn peak(scene: &Scene) -> Result<Row> {
    let peak = memory::of(&scene.action("dummy", "reboot", &["one-1", "localhost", "1", "localhost"]))?;
    Ok(Row {
        what: "peak memory of an action's largest process",
        ours: format!("{peak:.1} MiB"),
        theirs: String::new(),
        figure: peak,
        target: "≤ 40 MiB".into(),
        kept: peak <= 40.0,
    })
}

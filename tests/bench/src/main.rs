//! `make bench`: every promise about speed and memory as a ratio within one run, as a table and as JSON.
#![forbid(unsafe_code)]

mod effects;
mod hypervisor;
mod measure;
mod network;
mod scene;

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Parser;
use comfy_table::{Table, presets};
use serde::Serialize;

use measure::{memory, pairs};
use scene::Scene;

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
    what: Cow<'static, str>,
    ours: String,
    theirs: String,
    /// Ours to theirs, median of pairs; or the figure itself.
    figure: f64,
    /// Empty where nothing was promised.
    target: String,
    kept: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.peak.is_empty() {
        return memory::report(&options.peak);
    }
    let scene = Scene::new(&options.dist)?;
    let mut groups: Vec<(&str, Group)> = Vec::new();
    if !options.network {
        groups.push(("the runtime", runtime));
        groups.push(("the hypervisor's actions", hypervisor::rows));
        groups.push(("those of interfaces and agents", hypervisor::bridged));
    }
    groups.push(("network actions", network::rows));
    // What fails takes nothing away from what was measured.
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for (name, measure) in groups {
        eprintln!("measuring {name} …");
        match measure(&scene, &options) {
            Ok(measured) => rows.extend(measured),
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    show(&rows);
    std::fs::write(&options.output, serde_json::to_string_pretty(&rows)?)
        .with_context(|| options.output.display().to_string())?;
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

/// Measures some of it.
type Group = fn(&Scene, &Options) -> Result<Vec<Row>>;

fn runtime(scene: &Scene, options: &Options) -> Result<Vec<Row>> {
    Ok(vec![stub(scene, options)?, effects::row()?, peak(scene)?])
}

fn show(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["WHAT", "OURS", "AGAINST", "FIGURE", "TARGET", ""]);
    for row in rows {
        let figure = format!("{:.2}", row.figure);
        let kept = match row.target.as_str() {
            "" => "",
            _ if row.kept => "kept",
            _ => "MISSED",
        };
        table.add_row([&row.what, row.ours.as_str(), &row.theirs, &figure, &row.target, kept]);
    }
    println!("{}", table.trim_fmt());
}

fn ratio(what: &'static str, pairs: &measure::Pairs, most: f64) -> Row {
    Row {
        what: what.into(),
        ours: format!("{:.2} ms", pairs.ours),
        theirs: format!("{:.2} ms", pairs.theirs),
        figure: pairs.ratio,
        target: format!("≤ {most} ×"),
        kept: pairs.ratio <= most,
    }
}

fn stub(scene: &Scene, options: &Options) -> Result<Row> {
    let ours = || scene.action("dummy", "reboot", &["one-1", "localhost", "1", "localhost"]);
    let pairs = pairs(options.runs, ours, || Command::new("/bin/true"), || Ok(()))?;
    Ok(ratio("whole action through the stub, against /bin/true", &pairs, 5.0))
}

fn peak(scene: &Scene) -> Result<Row> {
    let peak = memory::of(&scene.action("dummy", "reboot", &["one-1", "localhost", "1", "localhost"]))?;
    Ok(Row {
        what: "peak memory of an action's largest process".into(),
        ours: format!("{peak:.1} MiB"),
        theirs: String::new(),
        figure: peak,
        target: "≤ 40 MiB".into(),
        kept: peak <= 40.0,
    })
}

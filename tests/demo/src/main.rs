//! `make demo`: lays a remotes tree into a temporary folder and leads a real virtual machine through its
//! life, calling the actions as oned does. Every effect is shown with its time; nothing is left behind.
#![forbid(unsafe_code)]

mod namespace;
mod scene;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use scene::Scene;

/// The life of a virtual machine through a remotes tree.
#[derive(Parser)]
struct Options {
    /// libvirt's URI
    #[arg(long, default_value = "qemu:///session")]
    uri: String,
    /// Where the programs and drivers were staged
    #[arg(long, env = "REMOTES_DIST", default_value = "target/dist")]
    dist: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode> {
    if options.uri.ends_with("/session")
        && let Some(status) = namespace::enter()?
    {
        return Ok(ExitCode::from(status));
    }
    let started = Instant::now();
    let mut scene = Scene::new(&options.dist, &options.uri)?;
    println!("A remotes tree in a temporary folder, a guest of 32 MiB on {}.", options.uri);
    let result = life(&mut scene);
    // Whatever happened, the machine must not outlive the demonstration.
    scene.end();
    result?;
    println!("\nDone in {:.1} s; the folder and the machine are gone.", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn life(scene: &mut Scene) -> Result<()> {
    let (file, checkpoint) = (scene.file("deployment.0"), scene.file("checkpoint"));
    let xml = scene.guest.xml();
    let uuid = scene.act("deploy", &[&file], &xml)?.trim().to_owned();
    scene.guest.wait_up(1)?;
    scene.act("save", &[&uuid, &checkpoint], &scene.document())?;
    scene.act("restore", &[&checkpoint], &scene.document_for(&uuid))?;
    scene.act("reset", &[&uuid], &scene.document())?;
    scene.guest.wait_up(2)?;
    scene.act("reboot", &[&uuid], &scene.document())?;
    scene.guest.wait_up(3)?;
    scene.act("shutdown", &[&uuid], &scene.document())?;
    scene.act("deploy", &[&file], &xml)?;
    scene.act("cancel", &[&uuid], &scene.document())?;
    Ok(())
}

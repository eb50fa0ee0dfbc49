//! An effect server for tests, which misbehaves as its one argument says: `fake:MODE:FOLDER`. Each start
//! and each effect is a line in the folder's file `log`. `serve:TREE` serves this machine instead.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use remotes_effect::frame::{self, Hello, Ready};
use remotes_effect::{Answer, Effect, Executor, libvirt};

/// Answers what libvirt would in the best case.
struct Fine<'a>(&'a Path);

impl Executor for Fine<'_> {
    fn execute(&mut self, effect: &Effect) -> Answer {
        log(self.0, effect.name());
        Answer::Libvirt(match effect {
            Effect::Libvirt(libvirt::Effect::Shutdown { .. }) => libvirt::Answer::Shutdown(Ok(())),
            _ => libvirt::Answer::Xml(Ok("<domain/>".to_owned())),
        })
    }
}

fn log(folder: &Path, line: &str) {
    let file = std::fs::OpenOptions::new().append(true).create(true).open(folder.join("log"));
    let _ = file.and_then(|mut file| writeln!(file, "{line}"));
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if let Some(tree) = argument.strip_prefix("serve:") {
        return Ok(remotes_host::serve(Path::new(tree))?);
    }
    let mut parts = argument.splitn(3, ':').skip(1);
    let (mode, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("/nonexistent"));
    let folder = Path::new(folder);
    log(folder, &format!("start {}", std::process::id()));
    let starts = std::fs::read_to_string(folder.join("log"))?.matches("start").count();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match mode {
        "fine" => return Ok(frame::serve(&mut input, &mut output, |_| Fine(folder))?),
        "die-once" if starts > 1 => return Ok(frame::serve(&mut input, &mut output, |_| Fine(folder))?),
        "deaf" => loop {
            std::thread::park();
        },
        "never-ready" => {
            eprintln!("first line\nlibvirt.so.0: no such file");
            std::process::exit(127);
        }
        _ => {}
    }
    let _: Hello = frame::read(&mut input)?;
    frame::write(&mut output, &Ready { contract: remotes_effect::CONTRACT.to_owned() })?;
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let effect: Effect = serde_json::from_str(&line)?;
        line.clear();
        log(folder, effect.name());
        let answer = Fine(Path::new("/nonexistent")).execute(&effect);
        match mode {
            "die" | "die-once" => std::process::abort(),
            "die-after" => {
                frame::write(&mut output, &answer)?;
                std::process::exit(0);
            }
            "hang" => loop {
                std::thread::park();
            },
            "garbage" => writeln!(output, "not a frame")?,
            "banner" => writeln!(output, "{{\"filesystem\":{{}}}}")?,
            "wrong" => frame::write(&mut output, &Answer::Libvirt(libvirt::Answer::Destroy(Ok(()))))?,
            "twice" => {
                let text = serde_json::to_string(&answer)?;
                output.write_all(format!("{text}\n{text}\n").as_bytes())?;
            }
            "half" => {
                write!(output, "{{\"libvirt\":")?;
                output.flush()?;
                std::process::exit(3);
            }
            "endless" => loop {
                output.write_all(&[b'x'; 65536])?;
            },
            "chatty" => {
                for _ in 0..20_000 {
                    eprintln!("a line of a library that likes to talk about what it does");
                }
                frame::write(&mut output, &answer)?;
            }
            other => return Err(format!("no mode {other:?}").into()),
        }
        output.flush()?;
    }
    Ok(())
}

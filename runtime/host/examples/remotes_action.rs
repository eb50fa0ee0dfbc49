//! `remotes-action` as the tests lay it on hosts: `serve`, `send` and `receive` are the real ones.
//!
//! `copy JSON` is a client of them in a process of its own. With a file `cut` beside its folder, `TASK BYTES
//! VICTIM`, that end of a transfer is cut off when so many bytes have come by: `itself`, or the `client`, is
//! killed. `BYTES` beyond all that comes leaves it alone; how many came is then in the file `total`.
//! With a file `stall` that names the task, it greets and then takes or gives nothing until its client goes.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::Policy;
use remotes_effect::{Effect, Executor as _};
use remotes_host::{Machine, Surroundings};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

type Problem = Box<dyn std::error::Error>;

/// What a client does.
#[derive(Deserialize)]
struct Copying {
    policy: Policy,
    /// The tree on hosts.
    directory: PathBuf,
    ssh: PathBuf,
    effect: Effect,
}

fn main() -> Result<ExitCode, Problem> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let program = std::env::current_exe()?;
    let tree = program.ancestors().nth(2).ok_or("no tree")?;
    let task = arguments.first().ok_or("no task")?.as_str();
    if let Some(cut) = Cut::of(tree, task) {
        cut.act(tree, &program, task)?;
        return Ok(ExitCode::SUCCESS);
    }
    if std::fs::read_to_string(tree.join("stall")).is_ok_and(|stalled| stalled == task) {
        return stall();
    }
    match task {
        "serve" => remotes_host::serve(tree)?,
        "send" => remotes_host::transfer::send()?,
        "receive" => remotes_host::transfer::receive()?,
        "copy" => return copy(arguments.get(1).ok_or("no effect")?),
        other => return Err(format!("no task {other:?}").into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn stall() -> Result<ExitCode, Problem> {
    use remotes_effect::frame;
    let mut input = std::io::BufReader::new(std::io::stdin());
    let _: frame::Hello = frame::read(&mut input)?;
    frame::write(&mut std::io::stdout(), &frame::Ready::default())?;
    // Standard input stays unread; that its other end has gone is seen all the same.
    let stdin = std::io::stdin();
    let mut closed = [rustix::event::PollFd::new(&stdin, rustix::event::PollFlags::empty())];
    rustix::event::poll(&mut closed, None)?;
    Ok(ExitCode::SUCCESS)
}

fn copy(json: &str) -> Result<ExitCode, Problem> {
    let Copying { policy, directory, ssh, effect } = serde_json::from_str(json)?;
    std::fs::write(directory.join("client"), std::process::id().to_string())?;
    let mut machine = Machine::new(Surroundings {
        policy: Arc::new(policy),
        tree: "/nonexistent".into(),
        deadline: Deadline::after(Duration::from_secs(120)),
        libvirt_server: "/nonexistent".into(),
        log: Box::new(|_, _| {}),
    })
    .with_remote_directory(directory)
    .with_ssh_configuration(ssh);
    let answer = machine.execute(&effect);
    println!("{}", serde_json::to_string(&answer)?);
    Ok(if answer.failure().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where a transfer is cut off, and who dies of it.
struct Cut {
    bytes: u64,
    client: bool,
}

impl Cut {
    fn of(tree: &Path, task: &str) -> Option<Self> {
        let text = std::fs::read_to_string(tree.join("cut")).ok()?;
        let mut words = text.split_whitespace();
        // The real end, which this one has started.
        if std::env::var_os("UNCUT").is_some() || words.next()? != task {
            return None;
        }
        Some(Self { bytes: words.next()?.parse().ok()?, client: words.next()? == "client" })
    }

    fn act(&self, tree: &Path, program: &Path, task: &str) -> Result<(), Problem> {
        let mut command = Command::new(program);
        command.arg(task).env("UNCUT", "1");
        let sends = task == "send";
        match sends {
            true => command.stdout(Stdio::piped()),
            false => command.stdin(Stdio::piped()),
        };
        let mut child = command.spawn()?;
        let (mut from, mut into): (Box<dyn Read>, Box<dyn Write>) = match (child.stdin.take(), child.stdout.take()) {
            (Some(into), _) => (Box::new(std::io::stdin()), Box::new(into)),
            (_, Some(from)) => (Box::new(from), Box::new(std::io::stdout())),
            _ => return Err("no pipe".into()),
        };
        let count = std::io::copy(&mut (&mut from).take(self.bytes), &mut into)?;
        into.flush()?;
        if count < self.bytes {
            std::fs::write(tree.join("total"), count.to_string())?;
            drop(into);
            child.wait()?;
            return Ok(());
        }
        std::fs::write(tree.join("killed"), count.to_string())?;
        if !self.client {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        let client = std::fs::read_to_string(tree.join("client"))?.parse()?;
        kill_process(Pid::from_raw(client).ok_or("no client")?, Signal::KILL)?;
        // What else is on its way comes through, as the kernel would have it.
        let _ = std::io::copy(&mut from, &mut into);
        drop((from, into));
        child.wait()?;
        Ok(())
    }
}

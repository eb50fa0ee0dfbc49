//! Calls that a real front-end made, to be made again on real machines.

use std::fs;
use std::path::Path;

use remotes_test_support::Guest;
use serde::Deserialize;

use crate::scene::{equipped, system};
use crate::{Outcome, Scene};

/// One call.
#[derive(Debug, Deserialize)]
pub struct Recorded {
    path: String,
    /// arguments
    pub argv: Vec<String>,
    /// standard input
    pub stdin: String,
    /// exit code
    pub exit: i32,
    stdout: String,
    stderr: String,
    order: u64,
    /// name of its file
    #[serde(skip)]
    pub file: String,
}

impl Recorded {
    /// The action.
    pub fn action(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// The machine's number: before the host, which oned puts last.
    pub fn id(&self) -> u32 {
        let index = if self.action() == "exec" { 0 } else { self.argv.len() - 2 };
        self.argv[index].parse().unwrap()
    }

    /// The format of a disk, as its document says.
    pub fn format(&self, disk: u32) -> Option<&str> {
        let rest = self.stdin.split(&format!("<DISK_ID><![CDATA[{disk}]]></DISK_ID>")).nth(1)?;
        let disk = rest.split("</DISK>").next()?;
        disk.split("<DRIVER><![CDATA[").nth(1)?.split(']').next()
    }
}

/// The recorded calls of these actions, as they were made in time.
pub fn recorded(actions: &[&str]) -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/frontend/vmm");
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut call: Recorded = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        call.file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if actions.contains(&call.action()) {
            all.push(call);
        }
    }
    all.sort_by_key(|call| call.order);
    for action in actions {
        assert!(all.iter().any(|call| call.action() == *action), "no recorded call of {action}");
    }
    all
}

/// Removes every piece of the text from one mark to the next.
fn without(mut text: String, from: &str, to: &str) -> String {
    while let Some(start) = text.find(from) {
        let end = start + text[start..].find(to).unwrap() + to.len();
        text.replace_range(start..end, "");
    }
    text
}

/// The text with the test's folder in place of `/var/lib/one`.
pub fn placed(scene: &Scene, text: &str) -> String {
    text.replace("/var/lib/one/", &format!("{}/", scene.root().display()))
}

/// A description that a daemon of an unprivileged user runs anywhere.
pub fn runnable(scene: &Scene, description: &str) -> String {
    let text = placed(scene, description)
        .replace("/usr/bin/qemu-kvm-one", "/usr/bin/qemu-system-x86_64")
        .replace("<domain type='kvm'", "<domain type='qemu'")
        .replace("<interface type='bridge'>", "<interface type='user'>")
        .replace(" cache='none'", "");
    let text = without(text, "<cputune>", "</cputune>");
    let text = without(text, "<source bridge=", "/>");
    let text = without(text, "<target dev='one-", "/>");
    let port = text.split(" port='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
    text.replace(&format!(" port='{port}'"), " autoport='yes'")
}

/// The files of a machine, where the front-end and its transfer driver had put them.
pub fn machine(scene: &Scene, call: &Recorded) -> Guest {
    let deploy_id = if call.action() == "restore" { &call.argv[2] } else { &call.argv[0] };
    // Of `exec` it is no argument.
    let deploy_id = if call.action() == "exec" { "6f6e6500-0000-4000-8000-000000000009" } else { deploy_id };
    let folder = match call.argv.iter().find_map(|argument| argument.strip_prefix("/var/lib/one/")) {
        Some(file) => format!("{}/{}", scene.root().display(), file.rsplit_once('/').unwrap().0),
        None => format!("{}//datastores/101/{}", scene.root().display(), call.id()),
    };
    let guest = Guest::in_folder(Path::new(&folder), call.id()).unwrap();
    let guest = if call.format(0) == Some("raw") { guest } else { guest.with_qcow2().unwrap() };
    fs::write(guest.folder.join("disk.1"), vec![0; 1 << 20]).unwrap();
    // The id of a deployment is in its description.
    let uuid = call.stdin.split("<uuid>").nth(1).and_then(|rest| rest.split('<').next());
    Guest { uuid: uuid.unwrap_or(deploy_id).to_owned(), ..guest }
}

/// The machine that a call is about, running, with a medium in its drive and a disk that may be plugged in.
pub fn running(scene: &Scene, recorded: &Recorded) -> Guest {
    let guest = machine(scene, recorded);
    let format = recorded.format(2).unwrap_or("raw");
    system("qemu-img", &["create", "-q", "-f", format, guest.folder.join("disk.2").to_str().unwrap(), "32M"]);
    fs::write(guest.folder.join("deployment"), equipped(&guest)).unwrap();
    let deployment = guest.folder.join("deployment");
    let outcome = scene.virsh(&["create", deployment.to_str().unwrap()]);
    assert_eq!(outcome.code, 0, "{}: {outcome:?}", recorded.file);
    guest.wait_up(1).unwrap();
    guest
}

/// Makes the call with its own arguments and standard input.
pub fn call(scene: &Scene, call: &Recorded, stdin: &str) -> Outcome {
    let arguments = call.argv.iter().map(|argument| placed(scene, argument));
    let mut command = scene.called(scene.tree.stub(call.action()), arguments);
    let outcome = Outcome::of(&mut command, stdin);
    assert_eq!((outcome.code, &outcome.stdout), (call.exit, &call.stdout), "{}: {outcome:?}", call.file);
    match call.exit {
        0 => drop(outcome.succeeded(&call.stdout)),
        // The last line is the user's, and what the front-end's users know. Where the stock driver left a
        // snapshot's name out, ours has it.
        _ => {
            let line = placed(scene, call.stderr.lines().last().unwrap());
            let line = line.replace("snapshot  for", &format!("snapshot snap-{} for", call.argv[1]));
            assert_eq!(outcome.failed(call.exit).info(), line);
        }
    }
    outcome
}

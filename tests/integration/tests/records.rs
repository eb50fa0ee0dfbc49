//! Seen before and after: dry runs, journals, recordings, and replays without a hypervisor.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_integration::scene::{arguments, folder, journal, stdin};
use remotes_integration::{Outcome, Scene, Snapshot, Tree, dist, remotes};
use remotes_test_support::Guest;
use serde_json::Value;
use tempfile::TempDir;

/// `remotes exec OPTIONS vmm/kvm/ACTION …`
fn exec(scene: &Scene, options: &[&str], action: &str, guest: &Guest, stdin: &str) -> Outcome {
    let mut command = remotes();
    command.args(["exec", "--tree", scene.tree.text()]).args(options).arg(format!("vmm/kvm/{action}"));
    command.args(arguments(action, guest));
    scene.environment(&mut command);
    Outcome::of(&mut command, stdin)
}

/// All that an action could change: files, domains and what libvirt knows of them.
fn world(scene: &Scene) -> (Snapshot, Snapshot, String) {
    let mut domains = scene.virsh(&["list", "--all"]).stdout;
    for name in scene.domains() {
        domains += &scene.virsh(&["dumpxml", &name]).stdout;
    }
    (Snapshot::of(&scene.path("datastores")), Snapshot::of(scene.tree.root()), domains)
}

/// The dry run of an action that would succeed: it lists these changes, and makes none.
fn dry(scene: &Scene, guest: &Guest, action: &str, expected: &[&str]) {
    let before = world(scene);
    let outcome = exec(scene, &["--dry-run"], action, guest, &stdin(action, guest));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.stdout.starts_with(&format!("vmm/kvm/{action} would")), "{outcome:?}");
    let changes = if expected.len() == 1 { "change" } else { "changes" };
    assert!(outcome.stdout.ends_with(&format!("{} {changes}; none was made\n", expected.len())), "{outcome:?}");
    let listed = exec(scene, &["--dry-run", "--json"], action, guest, &stdin(action, guest));
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let steps: Vec<_> = listed["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!((steps.as_slice(), &listed["failure"]), (expected, &Value::Null), "{action}");
    assert_eq!(listed["denied"], Value::Array(Vec::new()), "{action}");
    let after = world(scene);
    before.0.assert_same(&after.0);
    before.1.assert_same(&after.1);
    assert_eq!(before.2, after.2);
}

#[test]
fn a_dry_run_changes_nothing() {
    let scene = Scene::new();
    dry(&scene, &scene.guest(7), "deploy", &["filesystem.write", "libvirt.create"]);
    let guest = scene.running(7);
    dry(&scene, &guest, "reboot", &["libvirt.reboot"]);
    dry(&scene, &guest, "reset", &["libvirt.reset"]);
    dry(&scene, &guest, "save", &["filesystem.write", "libvirt.save"]);
    dry(&scene, &guest, "shutdown", &["libvirt.shutdown"]);
    dry(&scene, &guest, "cancel", &["libvirt.destroy"]);
    scene.does("save", &guest);
    dry(&scene, &guest, "restore", &["libvirt.restore", "filesystem.remove"]);
    // It would fail, and says so.
    let outcome = exec(&scene, &["--dry-run"], "reboot", &guest, "");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stdout.contains("and would fail: "), "{outcome:?}");
}

struct Recorded {
    action: String,
    recording: PathBuf,
    outcome: Outcome,
}

/// Replays where there is no hypervisor and nothing else.
fn replay(recording: &Path, component: &Path) -> Outcome {
    let mut command = remotes();
    command.env_clear().env("LIBVIRT_DEFAULT_URI", "nonsense:///").env("HOME", "/nonexistent").current_dir("/");
    Outcome::of(command.arg("replay").args([recording, component]), "")
}

#[test]
fn each_action_is_recorded_and_replayed_to_the_byte() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    let mut all = Vec::new();
    let mut record = |action: &str, stdin: &str, code: i32| {
        let name = format!("{}-{action}", all.len());
        let (recording, lines) = (scene.path(&format!("{name}.recording")), scene.path(&format!("{name}.journal")));
        let options = ["--record", recording.to_str().unwrap(), "--journal", lines.to_str().unwrap()];
        let outcome = exec(&scene, &options, action, &guest, stdin);
        assert_eq!(outcome.well_formed().code, code, "{action}: {outcome:?}");
        for file in [&recording, &lines] {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600, "secrets may be in {}", file.display());
        }
        same_effects(&recording, &lines);
        all.push(Recorded { action: action.to_owned(), recording, outcome });
    };
    record("reboot", &stdin("reboot", &guest), 1);
    record("deploy", "<domain><name>database</name></domain>", 255);
    record("deploy", "no XML", 255);
    record("deploy", &stdin("deploy", &guest), 0);
    guest.wait_up(1).unwrap();
    record("deploy", &stdin("deploy", &guest), 255);
    record("reset", &stdin("reset", &guest), 0);
    guest.wait_up(2).unwrap();
    record("reboot", &stdin("reboot", &guest), 0);
    guest.wait_up(3).unwrap();
    record("save", &stdin("save", &guest), 0);
    record("save", &stdin("save", &guest), 1);
    record("restore", &stdin("restore", &guest), 0);
    record("restore", &stdin("restore", &guest), 0);
    record("shutdown", &stdin("shutdown", &guest), 0);
    record("deploy", &stdin("deploy", &guest), 0);
    record("cancel", &stdin("cancel", &guest), 0);
    record("cancel", &stdin("cancel", &guest), 0);
    assert_eq!(scene.domains(), Vec::<String>::new());

    scene.libvirt.kill_daemon().unwrap();
    let before = Snapshot::of(&scene.path("datastores"));
    let component = scene.tree.component();
    for Recorded { action, recording, outcome } in &all {
        assert_eq!(replay(recording, &component), *outcome, "{action}: {}", recording.display());
    }
    // The core module, as a driver's author has it, behaves no otherwise.
    let module = dist().join("lib/remotes/drivers/vmm/kvm/component.wasm");
    assert_eq!(replay(&all[3].recording, &module), all[3].outcome);
    before.assert_same(&Snapshot::of(&scene.path("datastores")));

    let dummy = dist().join("lib/remotes/drivers/vmm/dummy/component.wasm");
    // Each action that succeeded, once.
    let mut seen = BTreeSet::new();
    for Recorded { action, recording, .. } in
        all.iter().filter(|it| it.outcome.code == 0 && seen.insert(it.action.clone()))
    {
        let outcome = replay(recording, &dummy);
        assert_eq!(outcome.code, 3, "{action}: {outcome:?}");
        let said = "remotes: the driver behaves otherwise than recorded: the driver ended before effect";
        assert!(outcome.says(said) && outcome.says("with another component: vmm/kvm "), "{outcome:?}");
    }
    assert_eq!(seen.len(), 7);
    altered(&all[3], &component, &scene);
}

/// The journal lists what the recording holds, in order, each effect before and after it.
fn same_effects(recording: &Path, lines: &Path) {
    let recorded: Vec<Value> =
        fs::read_to_string(recording).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let effects = &recorded[1..recorded.len() - 1];
    let lines = journal(lines);
    assert_eq!(lines.len(), 2 * effects.len());
    for (number, (effect, pair)) in effects.iter().zip(lines.chunks(2)).enumerate() {
        let (capability, function) = effect["effect"]["effect"].as_object().unwrap().iter().next().unwrap();
        let name = format!("{capability}.{}", function.as_object().unwrap().keys().next().unwrap());
        for line in pair {
            assert_eq!(
                (line["effect"].as_u64(), line["name"].as_str()),
                (Some(number as u64 + 1), Some(name.as_str()))
            );
        }
        assert!(!pair[0]["asked"].is_null() && !pair[1]["microseconds"].is_null(), "{pair:?}");
    }
}

/// A recording that is not what happened is noticed.
fn altered(recorded: &Recorded, component: &Path, scene: &Scene) {
    let text = fs::read_to_string(&recorded.recording).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let write = |lines: &[&str]| {
        let path = scene.path("altered");
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        replay(&path, component)
    };
    let mut shorter = lines.clone();
    shorter.remove(2);
    let outcome = write(&shorter);
    assert!(outcome.code == 3 && !outcome.says("another component"), "{outcome:?}");
    for cut in [&lines[..1], &lines[..lines.len() - 2], &lines[..lines.len() - 1]] {
        let outcome = write(cut);
        assert!(outcome.code == 3 && outcome.says("remotes: the recording is incomplete"), "{outcome:?}");
    }
    let outcome = write(&[&lines[..], &lines[1..2]].concat());
    assert!(outcome.code == 1 && outcome.says("the action has ended before it"), "{outcome:?}");
    let other = lines[1].replace("/7\"", "/8\"");
    assert_ne!(other, lines[1]);
    assert_eq!(write(&[&[lines[0], &other], &lines[2..]].concat()).code, 3);
    let outcome = write(&["{}"]);
    assert!(outcome.code == 1 && outcome.says("altered: is no recording of `remotes exec --record`"), "{outcome:?}");
    let outcome = write(&[]);
    assert!(outcome.code == 1 && outcome.says("`remotes exec --record`"), "{outcome:?}");
}

/// vmm/kvm in a tree, granted nothing: it is denied its first effect, and ended by a limit when it would log that.
fn limited(folder: &TempDir) -> Tree {
    let tree = Tree::install(&folder.path().join("remotes"));
    tree.edit_policy(|policy| {
        let limits = toml::Table::from_iter([("effects".to_owned(), 1.into()), ("time-seconds".to_owned(), 77.into())]);
        policy.insert("limits".to_owned(), limits.into());
        policy.remove("libvirt");
    });
    tree
}

/// `remotes exec OPTIONS vmm/kvm/reboot one-7 node1`, by this program.
fn reboot(mut program: Command, tree: &Tree, options: &[&str]) -> Outcome {
    program.args(["exec", "--tree", tree.text()]).args(options).args(["vmm/kvm/reboot", "one-7", "node1"]);
    Outcome::of(&mut program, "")
}

#[test]
fn what_was_ended_by_a_limit_replays_under_it() {
    let folder = folder();
    let tree = limited(&folder);
    let path = folder.path().join("recording");
    let outcome = reboot(remotes(), &tree, &["--record", path.to_str().unwrap()]);
    assert!(outcome.code == 1 && outcome.says("more than 1 calls (limits.effects"), "{outcome:?}");
    let component = tree.component();
    assert_eq!(replay(&path, &component), outcome);

    let text = fs::read_to_string(&path).unwrap();
    let replayed = |text: &str| {
        fs::write(&path, text).unwrap();
        replay(&path, &component)
    };
    // Another limit is another end.
    let wider = text.replace("\"effects\":1,", "\"effects\":2,");
    let outcome = replayed(&wider);
    assert!(outcome.code == 3 && outcome.says("the driver behaves otherwise than recorded"), "{outcome:?}");
    let other = replayed(&text.replace("more than 1 calls", "more than 9 calls"));
    assert!(other.code == 3 && other.says("the action ends otherwise than recorded"), "{other:?}");
    // Ended by time: how far the driver comes then says nothing of it.
    let reason =
        "the action did not end within 77 s (limits.time-seconds or limits.action-seconds in the driver's policy)";
    let (start, end) = wider.split_once("\"stopped\":").unwrap();
    let outcome = replayed(&format!("{start}\"stopped\":\"{reason}\"}}}}\n"));
    assert_eq!((outcome.code, outcome.stderr), (1, format!("reboot: {reason}\n")), "{end}");
    // From before limits were noted.
    let mut header: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    header.as_object_mut().unwrap().remove("limits").unwrap();
    let old = [&header.to_string(), text.split_once('\n').unwrap().1].join("\n");
    assert_eq!(replayed(&old).code, 3);
    // A driver of something else cannot be asked.
    fs::write(&path, &text).unwrap();
    let outcome = replay(&path, &dist().join("lib/remotes/drivers/vnm/fw/component.wasm"));
    assert!(outcome.code == 1 && outcome.says("expected a driver of vmm; it is one of vnm"), "{outcome:?}");
}

#[test]
fn a_full_disk_takes_a_recording_and_not_the_answer() {
    let folder = folder();
    let tree = limited(&folder);
    let path = folder.path().join("recording");
    let whole = reboot(remotes(), &tree, &["--record", path.to_str().unwrap()]);
    // Room for the first line and a piece of the next.
    let room = fs::read_to_string(&path).unwrap().lines().next().unwrap().len() as u64 + 20;
    fs::remove_file(&path).unwrap();
    let mut program = Command::new("prlimit");
    program.args([&format!("--fsize={room}"), "sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    program.arg(dist().join("bin/remotes"));
    let outcome = reboot(program, &tree, &["--record", path.to_str().unwrap()]);
    assert_eq!((outcome.code, &outcome.stdout), (whole.code, &whole.stdout));
    let (answer, problem) = outcome.stderr.split_at(whole.stderr.len());
    assert_eq!(answer, whole.stderr);
    assert!(problem.contains("what was recorded is not complete"), "{problem}");
    let replayed = replay(&path, &tree.driver());
    assert!(replayed.code == 3 && replayed.says("the recording is incomplete"), "{replayed:?}");
}

#[test]
fn a_lost_journal_is_a_line_of_the_log() {
    let folder = folder();
    let tree = limited(&folder);
    let plain = reboot(remotes(), &tree, &[]);
    let warned = |outcome: &Outcome, path: &str| {
        assert_eq!((outcome.well_formed().code, outcome.info()), (plain.code, plain.info()));
        let logs = outcome.logs();
        let [("WARN", text)] = logs[..] else { panic!("{outcome:?}") };
        assert!(
            text.starts_with(&format!("reboot: journal {path}: ")) && text.contains("the action goes on"),
            "{text}"
        );
    };
    warned(&reboot(remotes(), &tree, &["--journal", "/dev/full"]), "/dev/full");
    for path in ["/nonexistent/dir/j", "/dev/full"] {
        tree.edit_policy(|policy| drop(policy.insert("journal".to_owned(), path.into())));
        warned(&Outcome::of(Command::new(tree.stub("reboot")).args(["one-7", "node1"]), ""), path);
    }
    // A FIFO that nobody reads holds nothing up.
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    tree.edit_policy(|policy| drop(policy.insert("journal".to_owned(), fifo.to_str().unwrap().into())));
    warned(&reboot(remotes(), &tree, &[]), fifo.to_str().unwrap());
}

#[test]
fn a_recording_is_not_written_over() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    let path = scene.path("precious");
    fs::write(&path, "mine").unwrap();
    let outcome = exec(&scene, &["--record", path.to_str().unwrap()], "cancel", &guest, "");
    assert_eq!(outcome.code, 1);
    assert!(outcome.says("a file that does not exist yet"), "{outcome:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    // A dry run has nothing to record.
    assert_eq!(exec(&scene, &["--dry-run", "--record", "x"], "cancel", &guest, "").code, 2);
}

//! What the program says of itself, and of what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use remotes_integration::scene::folder;
use remotes_integration::tree::run;
use remotes_integration::{Outcome, Snapshot, Tree, dist, remotes};
use serde_json::Value;

/// Commands and their subcommands, as the help of each lists them.
fn all_commands(of: &[&str], found: &mut Vec<Vec<String>>) {
    let outcome = Outcome::of(remotes().args(of).arg("--help"), "");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{of:?}");
    assert!(outcome.stdout.contains("Usage: remotes"), "{of:?}: {outcome:?}");
    found.push(of.iter().map(|word| (*word).to_owned()).collect());
    let listed = outcome.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names =
        listed.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for name in names.filter(|name| !name.is_empty() && *name != "help") {
        all_commands(&[of, &[name]].concat(), found);
    }
}

#[test]
fn help_man_pages_and_completions_know_every_command() {
    let folder = folder();
    let mut commands = Vec::new();
    all_commands(&[], &mut commands);
    assert!(commands.len() >= 14, "{commands:?}");
    // The variables that are read, and no others. Compiling writes nothing beside its cache.
    let help = run(&["--help"]).stdout;
    let (_, environment) = help.split_once("Environment: ").unwrap();
    let words = environment.split(|letter: char| !(letter.is_ascii_uppercase() || letter == '_'));
    let variables: Vec<&str> = words.filter(|word| word.len() > 2 && !word.ends_with('_')).collect();
    assert_eq!(variables, ["ONE_LOCATION", "HOME", "XDG_CACHE_HOME", "REMOTES_LOG", "REMOTES_LOG_FILE"]);

    let outcome = Outcome::of(remotes().arg("man").arg(folder.path().join("man")), "");
    assert_eq!(outcome, Outcome { code: 0, stdout: String::new(), stderr: String::new() });
    for command in &commands {
        let name = ["remotes"].into_iter().chain(command.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        let page = fs::read_to_string(folder.path().join(format!("man/{name}.1"))).unwrap();
        assert!(page.contains(".SH NAME"), "{name}");
    }
    // Pages that are read without complaint.
    if Path::new("/usr/bin/mandoc").exists() {
        let pages = fs::read_dir(folder.path().join("man")).unwrap().map(|page| page.unwrap().path());
        let outcome = Outcome::of(Command::new("mandoc").args(["-T", "lint", "-W", "error"]).args(pages), "");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    }

    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = Outcome::of(remotes().args(["completions", shell]), "");
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{shell}");
        for command in &commands {
            assert!(command.last().is_none_or(|name| outcome.stdout.contains(name.as_str())), "{shell}: {command:?}");
        }
        if shell == "bash" {
            let script = folder.path().join("completions");
            fs::write(&script, &outcome.stdout).unwrap();
            assert_eq!(Outcome::of(Command::new("bash").arg("-n").arg(&script), "").code, 0);
        }
    }
    assert_eq!(Outcome::of(remotes().args(["completions", "nonsense"]), "").code, 2);
    // What only programs of ours start is offered nowhere; files are where files are wanted.
    let script = |shell: &str| Outcome::of(remotes().args(["completions", shell]), "").stdout;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(!script(shell).contains("compile"), "{shell}");
    }
    assert!(script("zsh").contains("':recording -- A file written by `remotes exec --record`:_files'"));
}

#[test]
fn whatever_is_listed_is_also_json() {
    let folder = folder();
    let tree = folder.path().join("remotes").display().to_string();
    let json = |arguments: &[&str], code: i32| -> Value {
        let outcome = Outcome::of(remotes().arg("--json").args(arguments), "");
        assert_eq!(outcome.code, code, "{arguments:?}: {outcome:?}");
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {outcome:?}"))
    };
    let names = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let both = ["vmm/dummy", "vmm/kvm"];
    let drivers = ["--driver", "vmm/dummy", "--driver", "vmm/kvm"];
    assert_eq!(names(&json(&[&["tree", "install", &tree][..], &drivers].concat(), 0)), both);
    let listed = json(&["list", &tree], 0);
    assert_eq!((listed[0]["ready"].as_bool(), &listed), (Some(true), &json(&["list", "--tree", &tree], 0)));
    assert_eq!(names(&listed), both);
    assert!(listed[1]["actions"].as_array().unwrap().iter().any(|action| action == "deploy"));
    assert_eq!(json(&["tree", "verify", &tree], 0).as_array().unwrap().len(), 5);

    let component = format!("{tree}/drivers/vmm/kvm");
    let inspected = json(&["inspect", &component], 0);
    assert_eq!(inspected["sha256"], listed[1]["component"]);
    assert_eq!(
        (inspected["wasi"].as_bool(), inspected["encoded_from_core_module"].as_bool()),
        (Some(false), Some(false))
    );

    let file = format!("{tree}/etc/vmm/kvm/policy.toml");
    assert_eq!(json(&["policy", "check", &file], 0)["valid"], true);
    assert_eq!(json(&["policy", "explain", "vmm/kvm", "--tree", &tree], 0)["schema"], 1);
    fs::write(&file, "schema = 2\n").unwrap();
    assert_eq!(json(&["policy", "check", &file], 3)["valid"], false);
    let explained = Outcome::of(remotes().args(["policy", "explain", "vmm/kvm", "--tree", &tree]), "");
    assert!(explained.code == 3 && explained.says("schema = 2"), "{explained:?}");
    let rows = json(&["tree", "verify", &tree], 3);
    assert!(rows[4]["problem"].as_str().unwrap().contains("schema"), "{rows}");

    let plan = json(&["exec", "--dry-run", "--tree", &tree, "vmm/dummy/cancel", "one-7", "node1"], 0);
    assert_eq!((plan["action"].as_str(), plan["steps"].as_array().map(Vec::len)), (Some("vmm/dummy/cancel"), Some(0)));
    let removed = json(&["tree", "remove", &tree], 0);
    assert_eq!(names(&removed), both);
}

#[test]
fn an_action_is_the_one_that_is_named() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let tree = root.to_str().unwrap();
    run(&["tree", "install", "--driver", "vmm/dummy", tree]);
    let own = |arguments: &[&str], at: &Path| {
        let mut command = Command::new(root.join("bin/remotes"));
        Outcome::of(command.arg("exec").args(arguments).args(["one-7", "node1"]).current_dir(at), "")
    };
    let (actions, elsewhere) = (root.join("vmm/dummy"), folder.path());
    // Names, in the program's own tree, and paths, from wherever they are given.
    for (action, at) in [
        ("vmm/dummy/reboot", elsewhere),
        ("./reboot", &actions),
        ("reboot", &actions),
        ("dummy/reboot", &root.join("vmm")),
    ] {
        assert_eq!(own(&[action], at).code, 0, "{action}");
    }
    let path = actions.join("reboot").display().to_string();
    assert_eq!(own(&[&path], elsewhere).code, 0);
    // A path that leads nowhere, or into no tree, is not an action of this one.
    fs::create_dir_all(elsewhere.join("other/vmm/dummy")).unwrap();
    fs::write(elsewhere.join("other/vmm/dummy/reboot"), "").unwrap();
    for (action, says) in [
        ("/tmp/no-such-tree/vmm/dummy/reboot", "No such file"),
        ("./vmm/dummy/reboot", "No such file"),
        ("other/vmm/dummy/reboot", "is no action in a tree of ours"),
    ] {
        let outcome = own(&[action], elsewhere);
        assert!(outcome.code == 2 && outcome.says(says), "{action}: {outcome:?}");
    }
    assert_eq!(own(&["--tree", tree, &path], elsewhere).code, 2);
    // What is not there is told with what there is.
    let outcome = own(&["--tree", tree, "vmm/nope/reboot"], elsewhere);
    let said = format!("remotes: no driver vmm/nope in {tree}: there are vmm/dummy\n");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, said.as_str()));
    assert_eq!(own(&["vmm/dummy/explode"], elsewhere).code, 2);
    // By a link to the action, too.
    std::os::unix::fs::symlink(&path, elsewhere.join("linked")).unwrap();
    assert_eq!(own(&["./linked"], elsewhere).code, 0);
}

#[test]
fn what_cannot_be_written_is_an_error_and_no_panic() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let tree = root.to_str().unwrap();
    run(&["tree", "install", "--driver", "vmm/dummy", tree]);
    let (component, policy) =
        (root.join("drivers/vmm/dummy"), root.join("etc/vmm/dummy/policy.toml").display().to_string());
    let component = component.to_str().unwrap();
    for arguments in [
        &["list", "--tree", tree][..],
        &["--json", "list", "--tree", tree],
        &["inspect", component],
        &["policy", "check", &policy],
        &["policy", "explain", "vmm/dummy", "--tree", tree],
        &["tree", "verify", tree],
        &["tree", "install", "--driver", "vmm/dummy", tree],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["exec", "--tree", tree, "--dry-run", "vmm/dummy/reboot", "one-7", "node1"],
        &["vnm", "show"],
    ] {
        let written_to = |out: std::process::Stdio| {
            let output = remotes().args(arguments).stdin(std::process::Stdio::null()).stdout(out).output().unwrap();
            Outcome::from(output)
        };
        let full = written_to(fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into());
        assert!(full.code == 1 && full.says("remotes: standard output: No space left"), "{arguments:?}: {full:?}");
        // One that nobody reads any more.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = written_to(writer.into());
        assert_eq!((closed.code, closed.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

/// oned would hold a machine for running of which it does not know the id.
#[test]
fn an_answer_that_nobody_gets_is_a_failure() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let tree = root.to_str().unwrap();
    run(&["tree", "install", "--driver", "vmm/dummy", tree]);
    let stub = root.join("vmm/dummy/deploy");
    let arguments = ["/deployment.0", "node1", "7", "node1"];
    let mut by_hand = remotes();
    by_hand.args(["exec", "--tree", tree, "vmm/dummy/deploy"]);
    for mut command in [Command::new(stub), by_hand] {
        let description = folder.path().join("description");
        fs::write(&description, "<domain><name>one-7</name></domain>").unwrap();
        command.args(arguments).stdin(fs::File::open(&description).unwrap());
        let answered = Outcome::from(command.output().unwrap());
        assert!(answered.code == 0 && answered.stdout.ends_with('\n'), "{answered:?}");
        command.stdin(fs::File::open(&description).unwrap());
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let lost = Outcome::from(command.output().unwrap());
        assert!(lost.code == 1 && lost.says("cannot be written to standard output"), "{lost:?}");
        lost.well_formed();
    }
}

/// A file is no place for a tree, and keeps its mode.
#[test]
fn what_is_there_and_no_folder_is_left_alone() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    for place in [file.clone(), file.join("below")] {
        let outcome = Outcome::of(remotes().args(["tree", "install"]).arg(&place), "");
        assert!(outcome.code == 1 && outcome.says("expected a folder"), "{outcome:?}");
    }
    assert_eq!(mode(), 0o640);
}

/// Whatever parses a component has it done by the process that has limits, which cannot be started here.
#[test]
fn nothing_is_compiled_in_the_operators_process() {
    let folder = folder();
    let tree = folder.path().join("remotes").display().to_string();
    let component = dist().join("lib/remotes/drivers/vmm/dummy/component.wasm").display().to_string();
    run(&["tree", "install", "--driver", "vmm/dummy", &tree]);
    let recording = folder.path().join("recording").display().to_string();
    run(&["exec", "--tree", &tree, "--record", &recording, "vmm/dummy/reboot", "one-7", "node1"]);
    for arguments in [
        &["inspect", &component][..],
        &["replay", &recording, &component],
        &["tree", "install", "--driver", "vmm/dummy", &tree],
    ] {
        // And it needs no place on a disk, where something could be left.
        assert_eq!(Outcome::of(remotes().args(arguments).env("TMPDIR", "/nonexistent"), "").code, 0, "{arguments:?}");
        let mut alone = Command::new("strace");
        alone.args(["-qqo", "/dev/null", "-e", "trace=clone,clone3,fork,vfork"]);
        alone.args(["-e", "inject=clone,clone3,fork,vfork:error=EAGAIN"]).arg(dist().join("bin/remotes"));
        let outcome = Outcome::of(alone.args(arguments), "");
        assert!(outcome.code == 1 && outcome.says("cannot start the compiling process"), "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn what_is_wrong_is_said_once() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let tree = root.to_str().unwrap();
    run(&["tree", "install", "--driver", "vmm/dummy", tree]);
    let says = |arguments: &[&str], says: &str| {
        let outcome = Outcome::of(remotes().args(arguments), "");
        assert_eq!(
            (outcome.code, outcome.stderr.as_str()),
            (1, format!("remotes: {says}\n").as_str()),
            "{arguments:?}"
        );
    };
    let reboot = ["exec", "--tree", tree, "vmm/dummy/reboot", "one-7", "node1"];
    let text = folder.path().join("text");
    fs::write(&text, "hostname\n").unwrap();
    let text = text.to_str().unwrap();
    let wrong = format!("{text}: neither a component nor a core module of WebAssembly: it begins with \"hostname\"");
    says(&["inspect", text], &wrong);
    let code = Tree::at(&root).named("vmm/dummy").code();
    fs::remove_file(&code).unwrap();
    says(&reboot, &format!("{}: not there, though driver.toml names it; install the driver again", code.display()));
    let policy = root.join("etc/vmm/dummy/policy.toml");
    // What the parser has to say is one line, too, for oned's log.
    fs::write(&policy, "schema = 1\n\n[limits]\nmemory = 3\n").unwrap();
    let outcome = Outcome::of(remotes().args(reboot), "");
    let start =
        format!("remotes: policy {}: line 4, column 1: unknown field `memory`, expected one of", policy.display());
    assert!(outcome.code == 1 && outcome.stderr.starts_with(&start), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    let outcome = Outcome::of(remotes().args(["policy", "explain", "vmm/nope", "--tree", tree]), "");
    assert!(outcome.code == 1 && outcome.says("no driver vmm/nope in") && outcome.says("vmm/dummy"), "{outcome:?}");
    fs::remove_file(&policy).unwrap();
    says(&reboot, &format!("policy {}: No such file or directory (os error 2)", policy.display()));
}

/// What a stranger's file says is shown, and does nothing to a terminal: no line of it is another's, or gone.
#[test]
fn a_strangers_files_are_shown_as_they_are() {
    let folder = folder();
    let file = folder.path().join("theirs");
    let shown = |text: &str, arguments: &[&str]| {
        fs::write(&file, text).unwrap();
        let outcome = Outcome::of(remotes().args(arguments).arg(&file), "");
        let raw = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!outcome.stdout.contains(raw) && !outcome.stderr.contains(raw), "{outcome:?}");
        outcome
    };
    let policy = r#"
        schema = 1
        hosts = ["a\u001b7\nb"]
        journal = "/var/log/\u001bx"
        [libvirt]
        uris = ["qemu:///system\u202e"]
        domains = ["one-*\n  access           look"]
        [paths]
        "/etc\u001b7\u001b8" = "rw"
        [tools."a\nb"]
        path = "/usr/bin/\u009bx"
        arguments = [["\r*"]]
    "#;
    let explained = shown(policy, &["policy", "explain"]);
    assert_eq!(explained.code, 0, "{explained:?}");
    for line in [
        "  domains          one-*\\n  access           look\n  access           full\n",
        "  rw  /etc\\u{1b}7\\u{1b}8\n",
        "  a\\nb  /usr/bin/\\u{9b}x\n    with \\r*\n",
    ] {
        assert!(explained.stdout.contains(line), "{line}: {}", explained.stdout);
    }
    let checked =
        shown("schema = 1\n[paths]\n\"/a\\u001b[2J/../b\\nremotes: all is well\" = \"rw\"", &["policy", "check"]);
    assert!(checked.code == 3 && checked.stderr.lines().count() == 1, "{checked:?}");
    let recording = r#"{"contract":"1","driver":"d","component":"0","call":{"\u001b[2J\n":1}}"#;
    fs::write(folder.path().join("recording"), recording).unwrap();
    let arguments = ["replay", folder.path().join("recording").to_str().unwrap()].map(str::to_owned);
    let replayed = shown("", &arguments.each_ref().map(String::as_str));
    assert!(replayed.code == 1 && replayed.says("unknown variant `\\u{1b}[2J\\n`"), "{replayed:?}");
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let folder = folder();
    for (arguments, code) in [
        (&[][..], 2),
        (&["nonsense"], 2),
        (&["exec"], 2),
        (&["exec", "--nonsense", "vmm/kvm/deploy"], 2),
        (&["exec", "--tree", "/nonexistent", "vmm/kvm/deploy"], 1),
        (&["exec", "deploy"], 2),
        (&["exec", "vmm/kvm/"], 2),
        (&["exec", "/nonexistent/vmm/kvm/deploy"], 2),
        (&["exec", "--tree", "/", "/etc/passwd"], 2),
        (&["exec", "--dry-run", "--record", "x", "vmm/kvm/deploy"], 2),
        (&["exec", "--component", "x", "vmm/kvm/deploy"], 2),
        (&["exec", "--policy", "x", "vmm/kvm/deploy"], 2),
        (&["exec", "--component", "x", "--policy", "x", "./deploy"], 2),
        (&["exec", "--component", "x", "--policy", "/nonexistent", "vmm/kvm/cancel", "one-7", "node1"], 1),
        (&["exec", "--json", "vmm/kvm/deploy"], 2),
        (&["exec", "vmm/kvm/cancel", "one-7", "--dry-run"], 2),
        (&["exec", "vmm/kvm/cancel", "one-7", "--dryrun"], 2),
        (&["list", "--tree", "x", "y"], 2),
        (&["list", "/nonexistent"], 1),
        (&["policy", "explain", "/none/policy.toml"], 1),
        (&["--json", "replay", "/nonexistent", "/nonexistent"], 2),
        (&["--json", "completions", "bash"], 2),
        (&["tree", "precompile"], 2),
        (&["list", "--tree", "/nonexistent"], 1),
        (&["inspect", "/etc/passwd"], 1),
        (&["inspect", "/nonexistent"], 1),
        (&["list", "--tree", "."], 1),
        (&["policy", "check", "/nonexistent"], 1),
        (&["policy", "check", "."], 1),
        (&["policy", "explain", "vmm/kvm", "--tree", "."], 1),
        (&["policy", "explain", "vmm"], 2),
        (&["replay", "/nonexistent", "/nonexistent"], 1),
        (&["tree", "install", "--driver", "vmm/none", "x"], 1),
        (&["tree", "install", "--from", "/nonexistent", "x"], 1),
        (&["tree", "install", "--from", ".", "x"], 1),
        (&["tree", "install", "/dev/null/x"], 1),
        (&["tree", "install", "--driver", "none/kvm", "x"], 2),
        (&["tree", "install", "--as", "vmm/other", "x"], 2),
        (&["tree", "install", "--driver", "vmm/kvm", "--as", "tm/kvm", "x"], 2),
        (&["tree", "install", "--driver", "vmm/kvm", "--as", "vmm/../../etc", "x"], 2),
        (&["tree", "remove", "--driver", "vmm/kvm", "."], 1),
        (&["tree", "verify", "/nonexistent"], 1),
        (&["tree", "verify", "."], 1),
    ] {
        let outcome = Outcome::of(remotes().args(arguments).current_dir(folder.path()), "");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.ends_with('\n'), "{arguments:?}: {outcome:?}");
    }
    // Nothing of it was begun.
    assert_eq!(Snapshot::of(folder.path()).paths(), [""]);
}

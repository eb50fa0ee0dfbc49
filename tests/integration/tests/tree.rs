//! The remotes tree: laid into an existing one, copied to a host, used from anywhere, taken out again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use remotes_integration::scene::folder;
use remotes_integration::tree::{fails, run, stock, write};
use remotes_integration::{Outcome, Snapshot, Tree, dist, remotes};

#[test]
fn what_was_there_comes_back() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let before = stock(&root);

    let installed = run(&["--json", "tree", "install", "--driver", "vmm/kvm", root.to_str().unwrap()]);
    let rows: serde_json::Value = serde_json::from_str(&installed.stdout).unwrap();
    assert_eq!((rows[0]["name"].as_str(), rows[0]["policy"].as_str()), (Some("vmm/kvm"), Some("as shipped")));
    let tree = Tree::at(&root);
    assert_eq!(tree.verify().0, 0);
    // Of the stock driver: what is not taken over is as it was.
    let between = Snapshot::of(&root).with_file_times();
    for path in [
        "vmm/kvm/poll",
        "vmm/kvm/save.ceph",
        "vmm/lib/command.rb",
        "etc/vmm/kvm/kvmrc",
        "tm/qcow2/clone",
        "bin/other",
        "vmm/qemu",
    ] {
        assert_eq!(before.0.get(Path::new(path)), between.0.get(Path::new(path)), "{path}");
    }
    // The linked driver is called through its link.
    let outcome = Outcome::of(Command::new(root.join("vmm/qemu/deploy")).args(["a"]), "");
    outcome.failed(1);

    // Again, as after an upgrade: nothing changes.
    run(&["tree", "install", "--driver", "vmm/kvm", root.to_str().unwrap()]);
    between.assert_same(&Snapshot::of(&root).with_file_times());

    run(&["tree", "remove", root.to_str().unwrap()]);
    before.assert_same(&Snapshot::of(&root).with_file_times());
}

#[test]
fn a_stock_file_that_an_upgrade_brought_is_the_one_that_comes_back() {
    let folder = folder();
    let root = folder.path().join("remotes");
    stock(&root);
    let tree = Tree::install(&root);
    write(&tree.stub("deploy"), "#!/bin/sh\necho newer\n", 0o755);
    Tree::install(&root);
    assert!(fs::read_to_string(tree.stub("deploy")).unwrap().contains("remotes-action"));
    run(&["tree", "remove", root.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(tree.stub("deploy")).unwrap(), "#!/bin/sh\necho newer\n");
}

#[test]
fn an_empty_folder_is_empty_again() {
    let folder = folder();
    let root = folder.path().join("a/new/one");
    run(&["tree", "install", "--driver", "vmm/dummy", "--driver", "vmm/kvm", root.to_str().unwrap()]);
    let whole = Snapshot::of(&root);
    assert!(whole.paths().contains(&"vmm/kvm/deploy") && whole.paths().contains(&"vmm/dummy/deploy"));
    // Whatever the tree is copied by, nobody else can write it.
    assert!(whole.0.values().all(|entry| entry.mode & 0o022 == 0));
    run(&["tree", "remove", "--driver", "vmm/dummy", root.to_str().unwrap()]);
    let (code, rows) = Tree::at(&root).verify();
    let has = |name: &str| rows.iter().any(|(row, _)| row == name);
    assert_eq!((code, has("vmm/kvm"), has("vmm/dummy")), (0, true, false));
    run(&["tree", "remove", root.to_str().unwrap()]);
    assert_eq!(Snapshot::of(&root).paths(), [""]);
    // Once more there is nothing to do.
    let outcome = Outcome::of(remotes().args(["tree", "remove", root.to_str().unwrap()]), "");
    assert!(outcome.code == 1 && outcome.says("nothing of `remotes` is installed"), "{outcome:?}");
}

#[test]
fn the_operators_policy_stays() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let tree = Tree::install(&root);
    let shipped = fs::read_to_string(tree.policy_file()).unwrap();
    let edited = format!("{shipped}\n# mine\n");
    fs::write(tree.policy_file(), &edited).unwrap();
    let installed = run(&["--json", "tree", "install", "--driver", "vmm/kvm", tree.text()]);
    assert!(installed.stdout.contains("policy.toml.new"), "{installed:?}");
    assert_eq!(fs::read_to_string(tree.policy_file()).unwrap(), edited);
    assert_eq!(fs::read_to_string(tree.policy_file().with_extension("toml.new")).unwrap(), shipped);
    run(&["tree", "remove", tree.text()]);
    assert_eq!(Snapshot::of(&root).paths(), ["", "etc", "etc/vmm", "etc/vmm/kvm", "etc/vmm/kvm/policy.toml"]);
    // And is found again.
    Tree::install(&root);
    assert_eq!(fs::read_to_string(tree.policy_file()).unwrap(), edited);
}

#[test]
fn what_was_altered_is_found() {
    let folder = folder();
    let tree = Tree::install(&folder.path().join("remotes"));
    run(&["tree", "install", "--driver", "vmm/dummy", tree.text()]);
    assert_eq!(tree.verify().0, 0);
    let code = tree.code();
    let alter = |path: &Path| {
        let mut content = fs::read(path).unwrap();
        *content.last_mut().unwrap() ^= 1;
        fs::write(path, content).unwrap();
    };
    let set_mode = |mode: u32| move |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    type Change<'a> = (std::path::PathBuf, Box<dyn Fn(&Path) + 'a>, &'a str, &'a str);
    let changes: Vec<Change<'_>> = vec![
        (tree.stub("deploy"), Box::new(alter), "vmm/kvm", "deploy is not the stub"),
        (tree.stub("deploy"), Box::new(set_mode(0o644)), "vmm/kvm", "not executable"),
        (tree.stub("deploy"), Box::new(set_mode(0o777)), "vmm/kvm", "writable by others"),
        (
            tree.stub("deploy"),
            Box::new(|path: &Path| fs::remove_file(path).unwrap()),
            "vmm/kvm",
            "deploy: No such file",
        ),
        (code.clone(), Box::new(alter), "vmm/kvm", "not what was recorded"),
        (code.clone(), Box::new(set_mode(0o664)), "vmm/kvm", "its mode is 664"),
        (tree.component(), Box::new(alter), "vmm/kvm", "not what was recorded"),
        (tree.driver().join("driver.toml"), Box::new(alter), "vmm/kvm", "driver.toml"),
        (tree.driver().join("driver.toml"), Box::new(set_mode(0o666)), "vmm/kvm", "its mode is 666"),
        (
            tree.policy_file(),
            Box::new(|path: &Path| fs::write(path, "schema = 1\nx = 1\n").unwrap()),
            "vmm/kvm",
            "unknown field",
        ),
        (tree.path("bin/remotes-action"), Box::new(set_mode(0o644)), "bin/remotes-action", "not executable"),
        (tree.path("bin/remotes-libvirt"), Box::new(set_mode(0o775)), "bin/remotes-libvirt", "writable by others"),
        (tree.path("bin/remotes-action"), Box::new(alter), "bin/remotes-action", "not the program that was installed"),
        (tree.policy_file(), Box::new(set_mode(0o666)), "vmm/kvm", "policy.toml: writable by others"),
    ];
    for (path, change, what, problem) in changes {
        let (content, permissions) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().permissions());
        change(&path);
        let (code, rows) = tree.verify();
        let found: Vec<_> =
            rows.iter().filter_map(|(what, problem)| Some((what.as_str(), problem.as_deref()?))).collect();
        assert_eq!(code, 3, "{}: {found:?}", path.display());
        assert!(matches!(found[..], [(row, said)] if row == what && said.contains(problem)), "{problem}: {found:?}");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, permissions).unwrap();
    }
    assert_eq!(tree.verify().0, 0);
    // A folder that others may write is as bad as the file.
    for (folder, what) in [
        (".", "./"),
        ("bin", "bin/"),
        ("drivers", "drivers/"),
        ("drivers/vmm", "drivers/vmm/"),
        ("vmm", "vmm/"),
        ("vmm/kvm", "vmm/kvm"),
        ("etc/vmm", "etc/vmm/"),
        ("etc/vmm/kvm", "vmm/kvm"),
    ] {
        set_mode(0o777)(&tree.path(folder));
        let (code, rows) = tree.verify();
        let found: Vec<_> = rows.iter().filter(|(_, problem)| problem.is_some()).collect();
        assert!(code == 3 && found.len() == 1 && found[0].0 == what, "{folder}: {found:?}");
        assert!(found[0].1.as_ref().is_some_and(|problem| problem.contains("its mode is 777")), "{found:?}");
        set_mode(0o755)(&tree.path(folder));
    }
    assert_eq!(tree.verify().0, 0);
    // Stubs whose driver is gone; a driver's folder without a driver.
    fs::rename(tree.driver(), folder.path().join("gone")).unwrap();
    fs::create_dir_all(tree.path("drivers/vmm/other")).unwrap();
    let (code, rows) = tree.verify();
    let problem = |what: &str| rows.iter().find(|row| row.0 == what).and_then(|row| row.1.clone()).unwrap_or_default();
    assert_eq!(code, 3);
    assert!(
        problem("vmm/kvm").contains("stubs of it (") && problem("drivers/vmm/other").contains("driver.toml"),
        "{rows:?}"
    );
    fs::rename(folder.path().join("gone"), tree.driver()).unwrap();
    fs::remove_dir(tree.path("drivers/vmm/other")).unwrap();
    // A journal that cannot be kept here may be kept elsewhere.
    tree.edit_policy(|policy| drop(policy.insert("journal".to_owned(), "/nonexistent/dir/j".into())));
    let outcome = Outcome::of(remotes().args(["tree", "verify", tree.text()]), "");
    assert!(
        outcome.code == 0 && outcome.stdout.contains("its journal /nonexistent/dir/j could not be kept"),
        "{outcome:?}"
    );
    let outcome = Outcome::of(remotes().args(["policy", "check"]).arg(tree.policy_file()), "");
    assert!(outcome.code == 0 && outcome.says("its journal /nonexistent/dir/j could not be kept"), "{outcome:?}");
    fs::set_permissions(tree.driver(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(tree.verify().0, 3);
    Outcome::of(Command::new(tree.stub("cancel")).args(["one-1", "node1"]), "").failed(1);
}

#[test]
fn what_is_not_ours_is_not_removed() {
    let folder = folder();
    let root = folder.path();
    let text = root.to_str().unwrap();
    for program in ["remotes", "remotes-action"] {
        write(&root.join("bin").join(program), "#!/bin/sh\n", 0o755);
    }
    let before = Snapshot::of(root);
    fails(&["tree", "remove", text], "nothing of `remotes` is installed");
    before.assert_same(&Snapshot::of(root));
    write(&root.join("drivers/vmm/x/precious"), "mine", 0o644);
    let before = Snapshot::of(root);
    fails(&["tree", "remove", text], "nothing of `remotes` is installed");
    fails(&["tree", "remove", "--driver", "vmm/x", text], "nothing of `remotes` is installed");
    before.assert_same(&Snapshot::of(root));
    // Nor beside a driver that is.
    run(&["tree", "install", "--driver", "vmm/dummy", text]);
    fails(&["tree", "remove", "--driver", "vmm/x", text], "vmm/x: there is no such driver");
    run(&["tree", "remove", text]);
    assert_eq!(Snapshot::of(root).paths(), ["", "drivers", "drivers/vmm", "drivers/vmm/x", "drivers/vmm/x/precious"]);
}

#[test]
fn a_new_folder_may_be_named_from_where_one_is() {
    let folder = folder();
    let here = |arguments: &[&str]| Outcome::of(remotes().args(arguments).current_dir(folder.path()), "");
    assert_eq!(here(&["tree", "install", "--driver", "vmm/dummy", "t1"]).code, 0);
    assert_eq!(here(&["tree", "verify", "t1"]).code, 0);
}

#[test]
fn a_driver_with_fewer_actions_gives_the_stock_files_back() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let text = root.to_str().unwrap();
    for action in ["pre", "post", "clean", "update_sg"] {
        write(&root.join("vnm/mine").join(action), &format!("#!/bin/sh\necho stock {action}\n"), 0o755);
    }
    let before = Snapshot::of(&root).with_file_times();
    let install = |driver: &str| {
        let outcome = run(&["--json", "tree", "install", "--driver", driver, "--as", "vnm/mine", text]);
        let rows: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        (rows[0]["stock_kept"].as_u64().unwrap(), rows[0]["stock_left"].as_array().unwrap().len())
    };
    let stock =
        |action: &str| !fs::read_to_string(root.join("vnm/mine").join(action)).unwrap().contains("remotes-action");
    assert_eq!(install("vnm/fw"), (4, 0));
    assert!(!stock("post"));
    assert_eq!(install("vnm/elastic"), (2, 2));
    assert!(stock("post") && !stock("pre"));
    let outcome = Outcome::of(&mut Command::new(root.join("vnm/mine/post")), "");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "stock post\n"));
    assert_eq!(Outcome::of(remotes().args(["tree", "verify", text]), "").code, 0);
    // And the other way around.
    assert_eq!(install("vnm/fw"), (4, 0));
    assert!(!stock("post"));
    run(&["tree", "remove", text]);
    before.assert_same(&Snapshot::of(&root).with_file_times());
}

#[test]
fn a_folder_in_an_actions_place_is_refused_before_anything_is_changed() {
    let folder = folder();
    let root = folder.path().join("remotes");
    write(&root.join("vmm/dummy/save/inside"), "mine", 0o644);
    let before = Snapshot::of(&root);
    fails(
        &["tree", "install", "--driver", "vmm/kvm", "--driver", "vmm/dummy", root.to_str().unwrap()],
        "vmm/dummy/save: it is a folder",
    );
    before.assert_same(&Snapshot::of(&root));
}

#[test]
fn a_policy_that_nobody_changed_is_known_as_such() {
    let folder = folder();
    let (root, from) = (folder.path().join("remotes"), folder.path().join("from"));
    let staged = dist().join("lib/remotes/drivers/vmm/dummy");
    write(&from.join("vmm/README.md"), "what people keep there", 0o644);
    fs::create_dir_all(from.join("vmm/dummy")).unwrap();
    fs::create_dir_all(from.join("vmm/.git")).unwrap();
    fs::copy(staged.join("component.wasm"), from.join("vmm/dummy/component.wasm")).unwrap();
    let (text, from_text) = (root.to_str().unwrap(), from.to_str().unwrap());
    let policy = root.join("etc/vmm/dummy/policy.toml");
    let newer = policy.with_extension("toml.new");
    let install = |shipped: &str| {
        write(&from.join("vmm/dummy/policy.toml"), shipped, 0o644);
        let outcome = run(&["--json", "tree", "install", "--from", from_text, text]);
        let rows: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        rows[0]["policy"].as_str().unwrap().to_owned()
    };
    assert_eq!(install("schema = 1\n"), "as shipped");
    // It came with an older version, and grants less.
    let wider = "schema = 1\nhosts = [\"*\"]\n";
    assert!(install(wider).starts_with("as shipped before, kept; the new one is beside it"));
    assert_eq!(fs::read_to_string(&policy).unwrap(), "schema = 1\n");
    assert_eq!(fs::read_to_string(&newer).unwrap(), wider);
    assert!(install(wider).starts_with("as shipped before"));
    // The operator takes it over: nothing is new any more.
    fs::copy(&newer, &policy).unwrap();
    assert_eq!(install(wider), "as shipped");
    assert!(!newer.exists());
    // And back, by hand: that, too, has come with the driver. So it goes with it.
    fs::write(&policy, "schema = 1\n").unwrap();
    let removed = run(&["--json", "tree", "remove", text]);
    assert!(removed.stdout.contains("\"removed\""), "{removed:?}");
    assert_eq!(Snapshot::of(&root).paths(), [""]);
}

/// Whoever can write the policy would grant a driver whatever the runtime's user may do.
#[test]
fn a_policy_that_others_may_write_is_not_obeyed() {
    let folder = folder();
    let tree = Tree::at(&folder.path().join("remotes")).named("vmm/dummy");
    run(&["tree", "install", "--driver", "vmm/dummy", tree.text()]);
    let act = || Outcome::of(Command::new(tree.stub("reboot")).args(["one-1", "node1"]), "");
    for (mode, obeyed) in [(0o644, true), (0o664, false), (0o646, false), (0o666, false), (0o600, true)] {
        fs::set_permissions(tree.policy_file(), fs::Permissions::from_mode(mode)).unwrap();
        let outcome = act();
        match obeyed {
            true => assert_eq!(outcome.code, 0, "{mode:o}: {outcome:?}"),
            false => assert!(outcome.failed(1).says(&format!("refused, because its mode is {mode:o}")), "{outcome:?}"),
        }
        // Whoever asks is told the same.
        let listed = run(&["--json", "list", "--tree", tree.text()]);
        assert!(listed.stdout.contains(&format!("\"ready\": {obeyed}")), "{mode:o}: {listed:?}");
        assert_eq!(listed.stdout.contains(&format!("refused, because its mode is {mode:o}")), !obeyed, "{listed:?}");
        let explained = run(&["policy", "explain", "--tree", tree.text(), "vmm/dummy"]);
        assert_eq!(explained.says(&format!("refused, because its mode is {mode:o}")), !obeyed, "{explained:?}");
    }
}

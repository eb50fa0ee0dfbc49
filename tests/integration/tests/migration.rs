//! Machines that move between two hosts while they run: through the stub, by ssh, with real QEMU guests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use remotes_integration::Outcome;
use remotes_integration::hosts::{FROM, Hosts, TO, virsh};
use remotes_test_support::{Guest, Side};

fn hosts() -> Hosts {
    Hosts::new(Path::new(env!("CARGO_BIN_EXE_socket-bridge")))
}

/// The machine's files at the destination, as everybody else sees them.
fn arrived(hosts: &Hosts, guest: &Guest) -> std::path::PathBuf {
    hosts.pair.own_of(Side::Destination).join("0").join(guest.folder.file_name().unwrap())
}

fn end(hosts: &Hosts, guest: &Guest) {
    for daemon in [&hosts.pair.source, &hosts.pair.destination] {
        virsh(daemon, &["destroy", &guest.name]);
    }
}

fn nothing_is_left_there(hosts: &Hosts, guest: &Guest) {
    // QEMU makes the file of the console, which is only a test's machine's.
    let ours = |path: &std::path::PathBuf| path.is_file() && !path.ends_with("console");
    let left: Vec<_> = walk(&hosts.pair.own_of(Side::Destination)).into_iter().filter(ours).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
    assert_eq!(Hosts::state(&hosts.pair.destination, guest), None);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn on_shared_storage() {
    let hosts = hosts();
    let guest = hosts.on_shared_storage(7);
    hosts.configure("--migrateuri tcp://127.0.0.1");
    let refused = hosts.migrate(&guest, "YES");
    refused.failed(1);
    assert!(refused.info().starts_with(&format!("Error migrating VM {}: ", guest.uuid)), "{refused:?}");
    assert!(refused.info().contains("Unsafe migration"), "{refused:?}");
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);

    hosts.configure("--unsafe --migrateuri tcp://127.0.0.1");
    hosts.migrate(&guest, "YES").succeeded("");
    assert_eq!(hosts.runs_at(&guest), [Side::Destination]);
    assert_eq!(Hosts::state(&hosts.pair.source, &guest), None);
    assert_eq!(guest.starts().unwrap(), 1, "it went on where it was");

    // A repeat finds it there.
    hosts.migrate(&guest, "YES").succeeded("");
    assert_eq!(hosts.runs_at(&guest), [Side::Destination]);
    end(&hosts, &guest);
}

#[test]
fn with_its_disks() {
    let hosts = hosts();
    let guest = hosts.on_own_storage(8);
    hosts.migrate(&guest, "NO").succeeded("");
    assert_eq!(hosts.runs_at(&guest), [Side::Destination]);
    let there = arrived(&hosts, &guest);
    let here = hosts.pair.own_of(Side::Source).join("0/8");
    assert_eq!(fs::read(there.join("disk.0")).unwrap(), fs::read(here.join("disk.0")).unwrap());
    assert_eq!(fs::read(there.join("vm.xml")).unwrap(), fs::read(here.join("vm.xml")).unwrap());
    end(&hosts, &guest);
}

#[test]
fn with_a_disk_whose_snapshots_are_files() {
    let hosts = hosts();
    let folder = hosts.pair.own_of(Side::Source).join("0/9");
    let guest = Guest::in_folder(&folder, 9).unwrap().with_qcow2().unwrap();
    // As tm/local lays it: a folder of snapshots, the active one a link away.
    fs::create_dir(folder.join("disk.0.snap")).unwrap();
    fs::rename(folder.join("disk.0"), folder.join("disk.0.snap/0")).unwrap();
    std::os::unix::fs::symlink("disk.0.snap/0", folder.join("disk.0")).unwrap();
    let guest = hosts.run(guest, 9);
    hosts.migrate(&guest, "NO").succeeded("");
    assert_eq!(hosts.runs_at(&guest), [Side::Destination]);
    let there = arrived(&hosts, &guest);
    assert_eq!(fs::read_link(there.join("disk.0")).unwrap(), Path::new("disk.0.snap/0"));
    assert!(there.join("disk.0.snap/0").is_file());
    end(&hosts, &guest);
}

#[test]
fn a_machine_with_system_snapshots_stays() {
    let hosts = hosts();
    let folder = hosts.pair.own_of(Side::Source).join("0/10");
    let guest = hosts.run(Guest::in_folder(&folder, 10).unwrap().with_qcow2().unwrap(), 10);
    let made = virsh(&hosts.pair.source, &["snapshot-create-as", &guest.name, "snap-0"]);
    assert_eq!(made.code, 0, "{made:?}");
    let refused = hosts.migrate(&guest, "NO");
    refused.failed(1);
    assert!(refused.info().contains("system snapshots (snap-0)"), "{refused:?}");
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);
    let listed = virsh(&hosts.pair.source, &["snapshot-list", "--name", &guest.name]);
    assert_eq!(listed.stdout.trim(), "snap-0", "libvirt knows it still");
    nothing_is_left_there(&hosts, &guest);
    end(&hosts, &guest);
}

/// Each part of the way is closed in turn: the machine runs on where it is, nothing of the attempt is left,
/// what was there before stays.
#[test]
fn a_failure_in_any_phase_leaves_it_where_it_is() {
    let hosts = hosts();
    let guest = hosts.on_own_storage(11);
    let there = arrived(&hosts, &guest);
    let bridge = hosts.path("bin/virt-ssh-helper");
    let program = hosts.path("there/bin/remotes-action");
    let away = |path: &Path| path.with_extension("away");

    // The other host's tree is missing.
    fs::rename(&program, away(&program)).unwrap();
    let failed = hosts.migrate(&guest, "NO");
    failed.failed(1);
    assert!(failed.info().contains(&format!("host {TO}")), "{failed:?}");
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);
    fs::rename(away(&program), &program).unwrap();
    nothing_is_left_there(&hosts, &guest);

    // Its hypervisor cannot be reached, after the disks' places were made.
    fs::rename(&bridge, away(&bridge)).unwrap();
    hosts.migrate(&guest, "NO").failed(1);
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);
    fs::rename(away(&bridge), &bridge).unwrap();
    nothing_is_left_there(&hosts, &guest);

    // A disk of that name is there already: another's, as far as this action knows.
    fs::create_dir_all(&there).unwrap();
    fs::write(there.join("disk.0"), "precious").unwrap();
    hosts.migrate(&guest, "NO").failed(1);
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);
    assert_eq!(fs::read(there.join("disk.0")).unwrap(), b"precious");
    fs::remove_file(there.join("disk.0")).unwrap();

    // Where the hypervisors are to meet, nobody is.
    hosts.configure("--unsafe --migrateuri tcp://127.0.0.1:1");
    hosts.tree.set_policy(
        "libvirt",
        "migration-targets",
        vec![format!("qemu+ssh://{TO}/system"), "tcp://127.0.0.1:1".to_owned()],
    );
    hosts.migrate(&guest, "NO").failed(1);
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);
    nothing_is_left_there(&hosts, &guest);
    let console = fs::read_to_string(hosts.pair.own_of(Side::Source).join("0/11/console")).unwrap();
    assert_eq!(console.matches("GUEST UP").count(), 1, "it was never interrupted");
    end(&hosts, &guest);
}

#[test]
fn what_is_not_granted_is_not_done() {
    let hosts = hosts();
    let guest = hosts.on_own_storage(12);
    let grants: [(&str, &str); 2] = [("migration-targets", "migration-targets"), ("hosts", "hosts")];
    for (key, named) in grants {
        let before = fs::read_to_string(hosts.tree.policy_file()).unwrap();
        hosts.tree.edit_policy(|policy| {
            policy.remove(key);
            policy["libvirt"].as_table_mut().unwrap().remove(key);
        });
        let denied = hosts.migrate(&guest, "NO");
        denied.failed(1);
        assert!(denied.stderr.contains(&format!("`{named}`")), "{denied:?}");
        assert_eq!(hosts.runs_at(&guest), [Side::Source]);
        nothing_is_left_there(&hosts, &guest);
        fs::write(hosts.tree.policy_file(), before).unwrap();
    }
    end(&hosts, &guest);
}

#[test]
fn to_another_datastore_of_the_same_host() {
    let hosts = hosts();
    let guest = hosts.on_own_storage(13);
    let target = hosts.pair.own().join("1/13");
    let document = Hosts::document(&guest, "NO", &target);
    let migrate = || Outcome::of(&mut hosts.command("migrate", &Hosts::arguments(&guest, FROM)), &document);
    // While another one is at it, nothing happens.
    let lock = fs::OpenOptions::new().create(true).append(true).open("/tmp/onevnm-migrate-13-lock").unwrap();
    lock.lock().unwrap();
    let refused = migrate();
    refused.failed(1);
    assert!(refused.info().contains("a migration of this machine still runs"), "{refused:?}");
    assert!(!hosts.pair.own_of(Side::Source).join("1/13").exists());
    drop(lock);
    migrate().succeeded("");
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);
    let blocks = virsh(&hosts.pair.source, &["domblklist", &guest.name]);
    assert!(blocks.stdout.contains(target.join("disk.0").to_str().unwrap()), "{blocks:?}");
    let metadata =
        virsh(&hosts.pair.source, &["metadata", &guest.name, "--uri", "http://opennebula.org/xmlns/libvirt/1.0"]);
    assert!(metadata.stdout.contains(target.to_str().unwrap()), "{metadata:?}");
    end(&hosts, &guest);
}

/// Images that are based on one another move under the running machine to another datastore, then with it to another
/// host, and then with their folder when nothing runs: each time they find each other.
#[test]
fn snapshots_that_are_files_go_wherever_their_folder_goes() {
    let hosts = hosts();
    let own = hosts.pair.own_of(Side::Source);
    let folder = own.join("0/14");
    let guest = Guest::in_folder(&folder, 14).unwrap().with_qcow2().unwrap();
    // As tm/qcow2 lays it: the folder links to itself, so that one name leads to a snapshot from both folders.
    let snapshots = folder.join("disk.0.snap");
    fs::create_dir(&snapshots).unwrap();
    std::os::unix::fs::symlink(".", snapshots.join("disk.0.snap")).unwrap();
    fs::rename(folder.join("disk.0"), snapshots.join("0")).unwrap();
    for (name, base) in [("1", "disk.0.snap/0"), ("2", "disk.0.snap/1")] {
        qemu_img(&snapshots, &["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, name]);
    }
    std::os::unix::fs::symlink("disk.0.snap/2", folder.join("disk.0")).unwrap();
    let guest = hosts.run(guest, 14);
    let layers = |folder: &Path| {
        for name in ["disk.0", "disk.0.snap/2"] {
            let path = folder.join(name).display().to_string();
            let chain = qemu_img(folder, &["info", "-U", "--backing-chain", "--output=json", &path]);
            let chain: Vec<serde_json::Value> = serde_json::from_slice(&chain).unwrap();
            let names: Vec<_> = chain.iter().map(|layer| layer["backing-filename"].as_str()).collect();
            assert_eq!(names, [Some("disk.0.snap/1"), Some("disk.0.snap/0"), None], "{path}");
        }
    };

    // To another datastore, and on to a third.
    let mut at = guest.clone();
    for datastore in ["1", "2"] {
        let target = hosts.pair.own().join(format!("{datastore}/14"));
        let mut command = hosts.command("migrate", &Hosts::arguments(&guest, FROM));
        Outcome::of(&mut command, &Hosts::document(&at, "NO", &target)).succeeded("");
        layers(&own.join(format!("{datastore}/14")));
        // What is left is the transfer driver's to remove; QEMU goes on writing into the console.
        let old = own.join(at.folder.strip_prefix(hosts.pair.own()).unwrap());
        fs::rename(&old, old.with_extension("old")).unwrap();
        at = guest.seen_in(&target);
    }
    assert_eq!(hosts.runs_at(&guest), [Side::Source]);

    // To the other host.
    fs::create_dir_all(hosts.pair.own_of(Side::Destination).join("0/14")).unwrap();
    hosts.migrate(&at, "NO").succeeded("");
    assert_eq!(hosts.runs_at(&guest), [Side::Destination]);
    let there = hosts.pair.own_of(Side::Destination).join("2/14");
    layers(&there);
    end(&hosts, &guest);

    // And by hand.
    let elsewhere = hosts.pair.own_of(Side::Destination).join("elsewhere");
    fs::rename(&there, &elsewhere).unwrap();
    layers(&elsewhere);
    qemu_img(&elsewhere, &["convert", "-O", "raw", "disk.0", "flat"]);
    assert_eq!(fs::metadata(elsewhere.join("flat")).unwrap().len(), 1 << 20);
    let original = own.join("0/14.old/disk.0");
    qemu_img(&elsewhere, &["compare", "-q", "disk.0", original.to_str().unwrap()]);
}

fn qemu_img(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new("qemu-img").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// kill -9 of the action while the hypervisors are at it, and before and after: the repeat ends with one
/// running machine.
#[test]
fn an_interrupted_migration_is_finished_by_its_repeat() {
    let hosts = hosts();
    // Which effect is which, by a migration that is left alone.
    let whole = hosts.on_own_storage(20);
    hosts.migrate(&whole, "NO").succeeded("");
    let journal = hosts.journal();
    let first = |name: &str| {
        let began = journal.iter().rposition(|line| line["effect"] == 1).unwrap();
        let line = journal[began..].iter().find(|line| line["name"] == name);
        line.unwrap_or_else(|| panic!("{name} is not in {journal:#?}"))["effect"].as_u64().unwrap()
    };
    let mut kills = 0;
    for (id, (name, moment)) in (21..).zip([
        ("transfer.copy", "after"),
        ("image.create", "after"),
        ("libvirt.migrate", "before"),
        ("libvirt.migrate", "within"),
        ("libvirt.migrate", "after"),
        ("libvirt.resume", "before"),
        ("libvirt.resume", "after"),
    ]) {
        let guest = hosts.on_own_storage(id);
        let mut command = hosts.room(Path::new(env!("CARGO_BIN_EXE_interrupted")));
        command.args([hosts.tree.text(), "vmm/kvm/migrate", moment, &first(name).to_string()]);
        command.args(Hosts::arguments(&guest, TO));
        let killed = Outcome::of(&mut command, &Hosts::document(&guest, "NO", &guest.folder));
        assert_eq!(killed.code, 128 + 9, "{name} {moment}: {killed:?}");
        kills += 1;
        hosts.migrate(&guest, "NO").succeeded("");
        assert_eq!(hosts.runs_at(&guest), [Side::Destination], "{name} {moment}");
        assert_eq!(Hosts::state(&hosts.pair.source, &guest), None, "{name} {moment}");
        end(&hosts, &guest);
    }
    println!("migrate: {kills} kills");
    end(&hosts, &whole);
}

//! What the documents say holds: every command that the README shows, every test that the differences name.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_integration::scene::folder;
use remotes_integration::{Outcome, Snapshot, dist, remotes};

const README: &str = include_str!("../../../README.md");
const DIFFERENCES: &str = include_str!("../../../docs/differences.md");
/// Where the README has the tree; a folder of the test stands in for it.
const PLACE: &str = "/var/lib/one/remotes";

/// Commands that do not run here, and why.
const ELSEWHERE: [(&str, &str); 5] = [
    ("make demo", "builds and installs packages; it is run for itself"),
    ("make test", "is what runs this"),
    ("make build PROFILE=release", "builds; tests build nothing"),
    ("sudo make install", "writes into the system"),
    ("onehost sync", "is OpenNebula's; what it does is in copies.rs"),
];

/// The lines of the README's blocks in this language.
fn lines(language: &str) -> Vec<&'static str> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in README.lines() {
        match line.strip_prefix("```") {
            Some(info) => inside = !inside && info == language,
            None if inside => lines.push(line),
            None => {}
        }
    }
    lines
}

#[test]
fn the_commands_of_the_readme() {
    let folder = folder();
    let tree = folder.path().join("remotes");
    // A stock tree, so that there is something to go back to.
    fs::create_dir_all(tree.join("vmm/kvm")).unwrap();
    fs::write(tree.join("vmm/kvm/deploy"), "#!/bin/sh\n").unwrap();
    let before = Snapshot::of(&tree).with_file_times();
    let path = format!("{}:/usr/bin:/bin", dist().join("bin").display());
    let commands = lines("sh");
    assert!(commands.len() >= 10, "{commands:?}");
    for line in &commands {
        let line = line.replace(PLACE, tree.to_str().unwrap());
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(!line.contains(['\'', '"', '$', '|', '>', '\\']), "no shell reads this: {line}");
        let mut command = Command::new(dist().join("bin").join(words[0]));
        command.args(&words[1..]).current_dir(folder.path()).env("PATH", &path).env("HOME", folder.path());
        let outcome = Outcome::of(&mut command, "");
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{line}: {outcome:?}");
    }
    before.assert_same(&Snapshot::of(&tree).with_file_times());
    // They left what they say.
    assert!(folder.path().join("reboot.journal").exists());
    assert!(folder.path().join("reboot.recording").exists());
    assert!(folder.path().join("man/remotes-exec.1").exists());
}

#[test]
fn every_other_command_of_the_readme_is_accounted_for() {
    for line in lines("console") {
        let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("no command: {line}"));
        assert!(ELSEWHERE.iter().any(|(known, _)| *known == command), "{command}: is neither run nor excused");
    }
    // Every command has its row in the table, and every row is a command.
    let table = README.lines().filter_map(|line| line.strip_prefix("| `remotes ")).map(|row| {
        let words: Vec<&str> = row.split_whitespace().take(2).collect();
        words
    });
    for words in table {
        let nested = matches!(words[0], "tree" | "policy" | "vnm");
        let name: Vec<&str> =
            words[..if nested { 2 } else { 1 }].iter().map(|word| word.trim_end_matches('`')).collect();
        let outcome = Outcome::of(remotes().args(&name).arg("--help"), "");
        assert_eq!(outcome.code, 0, "{name:?}: {outcome:?}");
    }
}

/// Names of tests in a cell of a table, each with the folder that is said behind it.
fn named(cell: &str) -> Vec<(&str, Option<&str>)> {
    let pieces: Vec<&str> = cell.split('`').collect();
    let mut tests: Vec<(&str, Option<&str>)> = Vec::new();
    for pair in pieces.chunks_exact(2) {
        match (pair[0].trim(), tests.last_mut()) {
            ("in", Some((_, folder))) => *folder = Some(pair[1]),
            _ => tests.push((pair[1], None)),
        }
    }
    tests
}

/// Where a test may be: `folder` is that of the section, or the one that is said behind its name.
fn places(name: &str, folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match name.split_once(": ") {
        Some((package, _)) => {
            let runtime = Path::new("runtime").join(package.trim_start_matches("remotes-"));
            [runtime, Path::new("guests").join(package)].map(|package| root.join(package).join("src")).into()
        }
        None => vec![root.join(folder), root.join(folder).join("tests")],
    }
}

/// Names of functions, modules and, where a macro makes tests of them, recorded cases.
fn defined(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let line = line.trim_start();
        let case = || line.split_once(" \"").map(|(name, _)| name);
        let name = line.strip_prefix("fn ").or_else(|| line.strip_prefix("mod ")).or_else(case)?;
        name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
    })
}

/// Whether there is such a test. `…` stands for the rest of a name, or for any.
fn exists(name: &str, folder: &str) -> bool {
    let words: Vec<&str> = name.split_once(": ").map_or(name, |(_, path)| path).split("::").collect();
    let has = |source: &str, word: &str| match word.strip_suffix('…') {
        Some(beginning) => defined(source).any(|name| name.starts_with(beginning)),
        None => defined(source).any(|name| name == word),
    };
    (1..=words.len()).any(|length| {
        let (file, rest) = words.split_at(length);
        places(name, folder).iter().any(|place| {
            let file = place.join(file.join("/"));
            let files = [file.with_extension("rs"), file.join("mod.rs"), file.join("main.rs")];
            let mut sources = files.iter().filter_map(|file| fs::read_to_string(file).ok());
            sources.any(|source| rest.iter().all(|word| has(&source, word)))
        })
    })
}

#[test]
fn every_difference_names_tests_that_exist() {
    let (mut folder, mut wrong, mut count) = ("", Vec::new(), 0);
    for line in DIFFERENCES.lines() {
        if line.starts_with("## ") {
            folder = "";
        } else if let Some(rest) = line.strip_prefix("Tests are in `") {
            folder = rest.split('`').next().unwrap();
        } else if line.starts_with("| what |") {
            assert!(line.ends_with("| test |"), "{line}");
        } else if let Some(row) = line.strip_suffix('|').filter(|row| row.starts_with("| ") && !row.starts_with("| -"))
        {
            let tests = named(row.rsplit('|').next().unwrap());
            let lost = tests.iter().filter(|(name, place)| !exists(name, place.unwrap_or(folder)));
            wrong.extend(lost.map(|(name, _)| format!("{name}: there is no such test: {row}")));
            if tests.is_empty() {
                wrong.push(format!("no test is named: {row}"));
            }
            count += tests.len();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "{count}");
}

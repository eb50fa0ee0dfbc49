//! Makes constants of the files in `guests/`, and a macro over their names: a guest that no test is named
//! after, and a test of a guest that is not there, do not compile.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

fn main() -> Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("guests");
    println!("cargo::rerun-if-changed={}", folder.display());
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let mut constants = String::new();
    let mut names = Vec::new();
    let mut files: Vec<_> = fs::read_dir(&folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let path = file.path();
        let (Some(name), Some(extension)) = (path.file_stem(), path.extension()) else { continue };
        let name = name.to_str().context("a guest's name")?.to_owned();
        let source = match extension.to_str() {
            Some("rs") => {
                ensure!(
                    manifest.contains(&format!("path = \"{name}.rs\"")),
                    "guests/Cargo.toml has no [[example]] for {name}.rs"
                );
                "Source::Rust".to_owned()
            }
            Some("wat") => format!("Source::Text(include_str!({path:?}))"),
            _ => continue,
        };
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(constants, "/// `guests/{}`", file.file_name().display())?;
        writeln!(
            constants,
            "pub const {}: Guest = Guest {{ name: {name:?}, source: {source} }};",
            name.to_uppercase()
        )?;
        names.push(name);
    }
    ensure!(!names.is_empty(), "{} holds no guests", folder.display());
    let calls: String = names.iter().map(|name| format!("$mac!({name});\n")).collect();
    let all: Vec<_> = names.iter().map(|name| name.to_uppercase()).collect();
    write!(
        constants,
        "/// Every guest.\npub const ALL: &[Guest] = &[{}];\n\
         /// Calls a macro with the name of every guest.\n#[macro_export]\n\
         macro_rules! foreach_guest {{ ($mac:ident) => {{ {calls} }} }}\n",
        all.join(", ")
    )?;
    let output = env::var("OUT_DIR")?;
    fs::write(Path::new(&output).join("guests.rs"), constants)?;
    let suite = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("tests/suite");
    fs::write(
        Path::new(&output).join("cases.rs"),
        format!("/// Tests of the suite.\npub const CASES: usize = {};\n", cases(&suite)?),
    )?;
    Ok(())
}

/// The tests in a folder: what the suite says of its own size.
fn cases(folder: &Path) -> Result<usize> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut count = 0;
    for file in fs::read_dir(folder)? {
        count += fs::read_to_string(file?.path())?.lines().filter(|line| line.trim() == "#[test]").count();
    }
    Ok(count)
}

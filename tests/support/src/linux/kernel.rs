//! A kernel of Debian's, as `make setup` unpacked it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A kernel with its modules.
pub struct Kernel {
    /// the compressed kernel
    pub image: PathBuf,
    /// by name, with underscores
    modules: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

impl Kernel {
    /// The kernel below a folder in which its package was unpacked; none where there is none.
    pub fn below(folder: &Path) -> Option<Self> {
        let image = entries(&folder.join("boot")).into_iter().find(|path| name(path).starts_with("vmlinuz-"))?;
        let modules = folder.join("lib/modules").join(name(&image).strip_prefix("vmlinuz-")?);
        let built_in = std::fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
        let built_in = built_in.lines().map(|line| module(Path::new(line))).collect();
        let mut found = BTreeMap::new();
        find(&modules.join("kernel"), &mut found);
        Some(Self { image, modules: found, built_in })
    }

    /// The files of these modules and of those that they need, each behind what it needs.
    ///
    /// # Panics
    /// Where the kernel has one of them neither as a module nor in itself.
    pub fn modules(&self, wanted: &[&str]) -> Vec<PathBuf> {
        let mut order = Vec::new();
        wanted.iter().for_each(|name| self.add(name, &mut order));
        order
    }

    fn add(&self, name: &str, order: &mut Vec<PathBuf>) {
        let name = name.replace('-', "_");
        let Some(path) = self.modules.get(&name) else {
            assert!(self.built_in.contains(&name), "{}: has no module {name}", self.image.display());
            return;
        };
        if order.contains(path) {
            return;
        }
        needs(path).iter().for_each(|other| self.add(other, order));
        order.push(path.clone());
    }
}

/// The modules that a module names in its `.modinfo`: `depends=libcrc32c,nf_conntrack`.
fn needs(path: &Path) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let content = std::fs::read(path).unwrap();
    let Some(start) = content.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = content[start + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn find(folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
    for path in entries(folder) {
        match path.is_dir() {
            true => find(&path, found),
            false => drop(found.insert(module(&path), path)),
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The name of a module by its file's: `8021q`, `nf_tables`.
fn module(path: &Path) -> String {
    name(path).split(".ko").next().unwrap_or_default().replace('-', "_")
}

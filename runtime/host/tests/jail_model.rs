//! The jail against a small model of its own: random trees of folders, files and links, random paths.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use proptest::prelude::*;
use remotes_effect::policy::Access;
use remotes_effect::types::FailureKind;
use remotes_host::jail::{Jail, Last};
use support::{RO, RW, Sandbox};

/// What is at a real path.
#[derive(Debug, Clone, PartialEq)]
enum Thing {
    Folder,
    File,
    Link(String),
}

/// What the policy says, what that really is, and the access.
type Grant = (Vec<String>, Vec<String>, Access);

/// The tree as a list of real paths, relative to the sandbox, and the grants.
#[derive(Default)]
struct Model {
    base: Vec<String>,
    things: BTreeMap<Vec<String>, Thing>,
    grants: Vec<Grant>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    At(Vec<String>),
    Refused(FailureKind),
}

fn names(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !matches!(*name, "" | ".")).map(str::to_owned).collect()
}

/// The same of the text of a link: a slash or dot at its end asks for a folder.
fn target_names(target: &str) -> Vec<String> {
    let end = matches!(target.rsplit('/').next(), Some("" | ".")).then(|| ".".to_owned());
    names(target).into_iter().chain(end).collect()
}

impl Model {
    fn absolute(&self, path: &str) -> Vec<String> {
        [self.base.clone(), names(path)].concat()
    }

    /// Where the kernel would go, told to stay within the grants.
    fn resolve(&self, mut path: Vec<String>, last: Last) -> Result<Vec<String>, FailureKind> {
        let mut links = 0;
        'anew: loop {
            let skip = path.iter().take_while(|name| *name == ".." || *name == ".").count();
            path.drain(..skip);
            let end = path.pop();
            path.retain(|name| name != ".");
            path.extend(end);
            let plain = path.iter().take_while(|name| *name != ".." && *name != ".").count();
            let longest = |pick: fn(&Grant) -> &Vec<String>| {
                self.grants
                    .iter()
                    .filter(|grant| path[..plain].starts_with(pick(grant)))
                    .max_by_key(|grant| pick(grant).len())
            };
            let (root, used) = match (longest(|grant| &grant.0), longest(|grant| &grant.1)) {
                (Some(grant), _) => (grant.1.clone(), grant.0.len()),
                (None, Some(grant)) => (grant.1.clone(), grant.1.len()),
                (None, None) => return Err(FailureKind::Denied),
            };
            let mut here = root.clone();
            let mut rest: Vec<String> = path[used..].to_vec();
            while !rest.is_empty() {
                let name = rest.remove(0);
                if name == "." {
                    continue;
                }
                if name == ".." {
                    if here == root {
                        here.pop();
                        while rest.first().is_some_and(|name| name == ".." || name == ".") {
                            if rest.remove(0) == ".." {
                                here.pop();
                            }
                        }
                        path = [here, rest].concat();
                        continue 'anew;
                    }
                    here.pop();
                    continue;
                }
                here.push(name);
                match self.things.get(&here) {
                    None => return Err(FailureKind::NotFound),
                    Some(Thing::Folder) => {}
                    Some(Thing::File) if rest.is_empty() => {}
                    Some(Thing::File) => return Err(FailureKind::NotFound),
                    Some(Thing::Link(_)) if rest.is_empty() && last == Last::Keep => {}
                    Some(Thing::Link(target)) => {
                        links += 1;
                        if links > 40 {
                            return Err(FailureKind::Invalid);
                        }
                        here.pop();
                        rest = [target_names(target), rest].concat();
                        if target.starts_with('/') {
                            path = rest;
                            continue 'anew;
                        }
                    }
                }
            }
            return Ok(here);
        }
    }

    fn expected(&self, path: Vec<String>, wanted: Access, last: Last) -> Outcome {
        let at = match self.resolve(path, last) {
            Ok(at) => at,
            Err(kind) => return Outcome::Refused(kind),
        };
        let grant = self.grants.iter().filter(|grant| at.starts_with(&grant.1)).max_by_key(|grant| grant.1.len());
        match grant {
            Some((_, root, access)) if *access >= wanted && !(wanted == RW && *root == at) => Outcome::At(at),
            _ => Outcome::Refused(FailureKind::Denied),
        }
    }
}

/// `one` and `three` are granted, `one/n` within `one` with less, `via` is a link to `really`; `out` is
/// not granted.
const FOLDERS: [&str; 7] = ["one", "one/n", "one/d", "three", "really", "out", "out/d"];
const GRANTS: [(&str, &str, Access); 4] =
    [("one", "one", RW), ("one/n", "one/n", RO), ("three", "three", RO), ("via", "really", RW)];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d", "n"]).prop_map(str::to_owned)
}

/// The text of a link; `@` stands for the sandbox, `%` for its own name.
fn target() -> impl Strategy<Value = String> {
    let step =
        prop_oneof![4 => name(), 3 => Just("..".to_owned()), 1 => Just(".".to_owned()), 1 => Just(String::new())];
    let steps = prop::collection::vec(step, 1..5).prop_map(|steps| steps.join("/"));
    let top = prop::sample::select(vec!["one", "one/n", "three", "via", "really", "out", "one/../out", ".."]);
    prop_oneof![
        4 => steps.clone().prop_map(|steps| if steps.is_empty() { ".".to_owned() } else { steps }),
        3 => (top, steps.clone()).prop_map(|(top, steps)| format!("@/{top}/{steps}")),
        1 => (1..4usize, steps).prop_map(|(ups, steps)| format!("{}%/three/{steps}", "../".repeat(ups))),
        1 => Just("/etc/passwd".to_owned()),
        1 => Just("/proc/self/root/etc/passwd".to_owned()),
    ]
}

#[derive(Debug, Clone)]
enum Make {
    Folder,
    File,
    Link(String),
}

fn make() -> impl Strategy<Value = (String, Vec<String>, Make)> {
    let top = prop::sample::select(FOLDERS.to_vec()).prop_map(str::to_owned);
    let thing = prop_oneof![1 => Just(Make::Folder), 1 => Just(Make::File), 3 => target().prop_map(Make::Link)];
    (top, prop::collection::vec(name(), 1..4), thing)
}

/// Makes the thing on disk and in the model, where its folder is one and nothing is there.
fn build(sandbox: &Sandbox, model: &mut Model, top: &str, below: &[String], thing: &Make) {
    let mut path = model.absolute(top);
    for (index, name) in below.iter().enumerate() {
        path.push(name.clone());
        let real = format!("/{}", path.join("/"));
        let is_last = index + 1 == below.len();
        match (model.things.get(&path), is_last) {
            (Some(Thing::Folder), false) => {}
            (None, false) => {
                std::fs::create_dir(&real).unwrap();
                model.things.insert(path.clone(), Thing::Folder);
            }
            (None, true) => {
                let thing = match thing {
                    Make::Folder => {
                        std::fs::create_dir(&real).unwrap();
                        Thing::Folder
                    }
                    Make::File => {
                        std::fs::write(&real, &real).unwrap();
                        Thing::File
                    }
                    Make::Link(target) => {
                        let target = match target.strip_prefix('@') {
                            Some(below) => format!("{}{below}", sandbox.path.display()),
                            None => target.replace('%', model.base.last().unwrap()),
                        };
                        std::os::unix::fs::symlink(&target, &real).unwrap();
                        Thing::Link(target)
                    }
                };
                model.things.insert(path.clone(), thing);
            }
            _ => return,
        }
    }
}

fn world(makes: &[(String, Vec<String>, Make)]) -> (Sandbox, Model) {
    let sandbox = Sandbox::new();
    let mut model = Model { base: names(sandbox.path.to_str().unwrap()), ..Model::default() };
    for folder in FOLDERS {
        sandbox.folder(folder);
        model.things.insert(model.absolute(folder), Thing::Folder);
    }
    sandbox.link("via", "really");
    for (top, below, thing) in makes {
        build(&sandbox, &mut model, top, below, thing);
    }
    for (said, real, access) in GRANTS {
        model.grants.push((model.absolute(said), model.absolute(real), access));
    }
    (sandbox, model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_jail_goes_where_the_model_goes(
        makes in prop::collection::vec(make(), 1..25),
        paths in prop::collection::vec((0..GRANTS.len(), prop::collection::vec(name(), 0..5)), 30),
    ) {
        let (sandbox, model) = world(&makes);
        let jail = Jail::new(&sandbox.grants(&GRANTS.map(|(said, _, access)| (said, access))));
        for (grant, below) in paths {
            let path = [sandbox.at(GRANTS[grant].0), below.join("/")].join("//");
            for (wanted, last) in [(RO, Last::Follow), (RO, Last::Keep), (RW, Last::Follow), (RW, Last::Keep)] {
                let expected = model.expected(names(&path), wanted, last);
                match jail.find(&path, wanted, last) {
                    Ok(found) => {
                        let at = names(&found.shown());
                        prop_assert_eq!(Outcome::At(at.clone()), expected, "{} {:?} {:?}", path, wanted, last);
                        // And that is where the kernel says it is.
                        let real = format!("/{}", at.join("/"));
                        let metadata = Path::new(&real).symlink_metadata().unwrap();
                        prop_assert_eq!((metadata.dev(), metadata.ino()), (found.stat().st_dev, found.stat().st_ino));
                        if last == Last::Follow {
                            let canonical = std::fs::canonicalize(&path).unwrap();
                            prop_assert_eq!(canonical, Path::new(&real));
                        }
                        prop_assert!(!real.starts_with(&sandbox.at("out")) && real.starts_with(&sandbox.at("")));
                    }
                    Err(failure) => {
                        prop_assert_eq!(Outcome::Refused(failure.kind), expected, "{} {:?} {:?}: {}", path, wanted, last, failure.message);
                    }
                }
            }
        }
    }

    #[test]
    fn changes_happen_where_the_model_says(
        makes in prop::collection::vec(make(), 1..25),
        paths in prop::collection::vec((0..GRANTS.len(), prop::collection::vec(name(), 1..4)), 20),
    ) {
        let (sandbox, model) = world(&makes);
        let jail = Jail::new(&sandbox.grants(&GRANTS.map(|(said, _, access)| (said, access))));
        for (grant, below) in paths {
            let (name, above) = below.split_last().unwrap();
            let folder = names(&[sandbox.at(GRANTS[grant].0), above.join("/")].join("/"));
            let path = format!("/{}/{name}", folder.join("/"));
            let slot = jail.slot(&path);
            // A name that the policy itself gives to a granted folder never is a slot.
            if model.grants.iter().any(|grant| grant.0 == names(&path)) {
                prop_assert_eq!(slot.unwrap_err().kind, FailureKind::Denied);
                continue;
            }
            let expected = match model.resolve(folder, Last::Follow) {
                Ok(at) if model.things.get(&at) == Some(&Thing::Folder) => {
                    let at = [at, vec![name.clone()]].concat();
                    let grant = model.grants.iter().filter(|grant| at.starts_with(&grant.1)).max_by_key(|grant| grant.1.len());
                    match grant {
                        Some((_, root, RW)) if *root != at => Outcome::At(at),
                        _ => Outcome::Refused(FailureKind::Denied),
                    }
                }
                Ok(_) => Outcome::Refused(FailureKind::NotFound),
                Err(kind) => Outcome::Refused(kind),
            };
            match slot {
                Ok(slot) => prop_assert_eq!(Outcome::At(names(&slot.shown())), expected, "{}", path),
                Err(failure) => prop_assert_eq!(Outcome::Refused(failure.kind), expected, "{}: {}", path, failure.message),
            }
        }
    }
}

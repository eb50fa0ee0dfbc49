//! From a path to the real place, link by link, as the executor of a real machine goes: below granted
//! folders where there is a policy, and deciding by where the way ends.

use remotes_effect::policy::{Access, PathGrants, normalized};
use remotes_effect::types::Failure;

use super::{Directory, Entry, MAX_DEPTH, MAX_NAME, Tree};

/// As many links on one way as Linux allows.
const MAX_LINKS: u32 = 40;

/// What to do with a link as last component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Keep,
}

/// Real names from the root. The last one may be missing; the folder above it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub names: Vec<String>,
    pub exists: bool,
}

/// A folder on the way that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Real names from the root, those of the missing thing included.
    pub names: Vec<String>,
    /// Whether a link leads there, rather than the path itself.
    pub by_link: bool,
}

/// Why a way does not end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stuck {
    Missing(Missing),
    Failed(Failure),
}

impl From<Failure> for Stuck {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Up,
    /// What came before must be a folder.
    Here,
}

fn steps(path: &str) -> Vec<Step> {
    path.split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .map(|name| if name == ".." { Step::Up } else { Step::Name(name.to_owned()) })
        .collect()
}

struct Walk<'a> {
    tree: &'a Tree,
    grants: Option<&'a PathGrants>,
    path: &'a str,
    /// Real names to here, and the folders they name below the root.
    names: Vec<String>,
    folders: Vec<&'a Directory>,
    /// So many of them are the granted folder.
    floor: usize,
    /// Still to go, the next one last.
    pending: Vec<Step>,
    /// So many of the pending ones are of the path, not of a link.
    own: usize,
    hops: u32,
}

impl Tree {
    /// Where a path leads. With grants, fails with `denied` where it leaves the granted folders.
    pub(crate) fn place(&self, grants: Option<&PathGrants>, path: &str, last: Last) -> Result<Place, Stuck> {
        if let Some(grants) = grants {
            grants.find(path)?;
        } else {
            normalized(path)?;
        }
        let steps = steps(path);
        let own = steps.len();
        let mut walk = Walk {
            tree: self,
            grants,
            path,
            names: Vec::new(),
            folders: Vec::new(),
            floor: 0,
            pending: Vec::new(),
            own,
            hops: 0,
        };
        walk.restart(steps)?;
        walk.run(last)
    }

    /// Whether the policy grants this at a real place.
    pub(crate) fn authorise(&self, grants: &PathGrants, names: &[String], wanted: Access) -> Result<(), Failure> {
        let shown = || format!("/{}", names.join("/"));
        let mut best: Option<(Vec<String>, &str, Access)> = None;
        for (folder, access) in &grants.0 {
            let Ok(root) = self.granted(folder) else { continue };
            if names.starts_with(&root) && best.as_ref().is_none_or(|(longest, ..)| root.len() > longest.len()) {
                best = Some((root, folder, *access));
            }
        }
        match best {
            Some((root, ..)) if wanted == Access::ReadWrite && root == names => Err(Failure::denied(format!(
                "{}: a granted folder itself cannot be changed, only what is below it",
                shown()
            ))),
            Some((.., access)) if access >= wanted => Ok(()),
            Some((_, folder, _)) => Err(Failure::denied(format!(
                "{}: {folder} is granted read-only; `\"{folder}\" = \"rw\"` under [paths] in the driver's policy would allow it",
                shown()
            ))),
            None => Err(Failure::denied(format!("{}: not below a granted folder", shown()))),
        }
    }

    /// Where a granted folder really is. The operator named it: links above it are followed.
    fn granted(&self, folder: &str) -> Result<Vec<String>, Stuck> {
        Ok(self.place(None, folder, Last::Follow)?.names)
    }
}

impl<'a> Walk<'a> {
    fn run(mut self, last: Last) -> Result<Place, Stuck> {
        while let Some(step) = self.pending.pop() {
            let by_link = self.pending.len() >= self.own;
            self.own = self.own.min(self.pending.len());
            let name = match step {
                Step::Name(name) => name,
                Step::Here => continue,
                Step::Up => {
                    self.up()?;
                    continue;
                }
            };
            if name.len() > MAX_NAME {
                return Err(Failure::invalid(format!("{}: a name has at most {MAX_NAME} bytes", self.path)).into());
            }
            let here = self.folders.last().copied().unwrap_or(&self.tree.root);
            let end = self.pending.is_empty();
            match here.entries.get(&name) {
                None if end => {
                    self.names.push(name);
                    return Ok(Place { names: self.names, exists: false });
                }
                None => {
                    self.names.push(name);
                    return Err(Stuck::Missing(Missing { names: self.names, by_link }));
                }
                Some(Entry::Link(link)) if !end || last == Last::Follow => self.follow(&name, &link.target)?,
                Some(Entry::Directory(_)) if self.names.len() == MAX_DEPTH => {
                    let message = format!("{}: leads through more than {MAX_DEPTH} folders", self.path);
                    return Err(Failure::invalid(message).into());
                }
                Some(Entry::Directory(folder)) => {
                    self.names.push(name);
                    self.folders.push(folder);
                }
                Some(_) if end => self.names.push(name),
                Some(_) => {
                    let message = format!("{}: a part of the path is no folder", self.path);
                    return Err(Failure::not_found(message).into());
                }
            }
        }
        Ok(Place { names: self.names, exists: true })
    }

    fn follow(&mut self, name: &str, target: &str) -> Result<(), Stuck> {
        self.hops += 1;
        if self.hops > MAX_LINKS {
            return Err(Failure::invalid(format!(
                "{}: more than {MAX_LINKS} links on the way; do they lead in a circle?",
                self.path
            ))
            .into());
        }
        let mut way = steps(target);
        // Unlike at the end of a path, there it means something.
        if target.ends_with('/') || target.ends_with("/.") {
            way.push(Step::Here);
        }
        if target.starts_with('/') {
            way.extend(self.pending.drain(..).rev());
            return self.restart(way).map_err(|stuck| match stuck {
                Stuck::Failed(failure) => Stuck::Failed(Failure {
                    message: format!("{}: the link {name} leads to {target}: {}", self.path, failure.message),
                    ..failure
                }),
                missing => missing,
            });
        }
        self.pending.extend(way.into_iter().rev());
        Ok(())
    }

    fn up(&mut self) -> Result<(), Stuck> {
        if self.names.len() > self.floor || self.grants.is_none() {
            self.names.pop();
            self.folders.pop();
            return Ok(());
        }
        let mut from_root: Vec<Step> = self.names.iter().cloned().map(Step::Name).collect();
        from_root.pop();
        while self.pending.last() == Some(&Step::Up) {
            self.pending.pop();
            from_root.pop();
        }
        from_root.extend(self.pending.drain(..).rev());
        self.restart(from_root)
    }

    /// Goes on from the root: below the granted folder that holds these steps, where there are grants.
    fn restart(&mut self, mut steps: Vec<Step>) -> Result<(), Stuck> {
        let ups = steps.iter().take_while(|step| **step == Step::Up).count();
        steps.drain(..ups);
        let mut used = 0;
        let mut root = Vec::new();
        if let Some(grants) = self.grants {
            let names: Vec<String> = steps
                .iter()
                .map_while(|step| match step {
                    Step::Name(name) => Some(name.clone()),
                    Step::Up | Step::Here => None,
                })
                .collect();
            (root, used) = self.holder(grants, &names)?;
        }
        self.folders = (1..=root.len()).filter_map(|count| self.tree.directory(&root[..count])).collect();
        self.floor = root.len();
        self.names = root;
        self.pending = steps.split_off(used).into_iter().rev().collect();
        self.own = self.own.min(self.pending.len());
        Ok(())
    }

    /// The real place of the granted folder that holds these names, and how many of them it takes; as the
    /// policy writes the folder or as it really is.
    fn holder(&self, grants: &PathGrants, names: &[String]) -> Result<(Vec<String>, usize), Stuck> {
        let path = format!("/{}", names.join("/"));
        if let Ok((folder, _, below)) = grants.find(&path) {
            let root = self.tree.granted(folder)?;
            // A granted folder that is not there yet may be made.
            return Ok(match self.tree.directory(&root) {
                Some(_) => (root, names.len() - below.len()),
                None => (Vec::new(), 0),
            });
        }
        grants
            .0
            .keys()
            .filter_map(|folder| self.tree.granted(folder).ok())
            .filter(|root| names.starts_with(root))
            .max_by_key(Vec::len)
            .map(|root| (root.clone(), root.len()))
            .ok_or_else(|| {
                Stuck::Failed(Failure::denied(format!(
                    "{path} is outside the granted folders; a line under [paths] in the driver's policy would allow it"
                )))
            })
    }
}

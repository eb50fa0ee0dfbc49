//! Paths below granted folders, resolved so that nobody who swaps links or folders meanwhile can lead
//! the runtime elsewhere.
//!
//! Every path is opened below the descriptor of a granted folder. Where no link is on the way the
//! kernel does it in one step (`openat2` with `RESOLVE_BENEATH`); else [`walk`] goes component by
//! component and reads links instead of following them. What comes out is a descriptor (`O_PATH`) of
//! exactly the thing that was checked; everything later happens through that descriptor.
//!
//! What may be done is decided by the place where the way ends, not by the path that led there.

mod grants;
mod place;
mod steps;
mod walk;

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use remotes_effect::policy::{Access, PathGrants, normalized};
use remotes_effect::types::{Failure, FailureKind};
use remotes_process::report::{failure, io_failure, shown};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use grants::Grant;
pub use place::{Found, Slot};
use steps::{Step, absolute, steps};
use walk::Walk;

/// As the kernel has it (`PATH_MAX`), without the NUL at the end.
const LONGEST_PATH: usize = 4095;

/// What to do with a link as last component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// Go where it leads.
    Follow,
    /// It is what is meant.
    Keep,
}

/// The granted folders of one policy, opened when first needed.
#[derive(Debug)]
pub struct Jail {
    paths: PathGrants,
    grants: Vec<Grant>,
}

impl Jail {
    /// Opens nothing yet.
    pub fn new(paths: &PathGrants) -> Self {
        let grants = paths.0.iter().filter_map(|(folder, access)| Grant::new(folder, *access)).collect();
        Self { paths: paths.clone(), grants }
    }

    /// What exists at `path`, where the policy grants `wanted` there.
    pub fn find(&self, path: &str, wanted: Access, last: Last) -> Result<Found, Failure> {
        let found = self.resolve(path, last)?;
        self.authorise(path, found.position(), found.grant(), wanted)?;
        Ok(found)
    }

    /// The place where something of the last component's name is, or can be made: for changes.
    pub fn slot(&self, path: &str) -> Result<Slot, Failure> {
        let mut names = normalized(path)?;
        let (_, _, below) = self.paths.find(path)?;
        let Some(name) = names.pop().filter(|_| !below.is_empty()) else {
            return Err(unchangeable(path));
        };
        let folder = self.resolve(&format!("/{}", names.join("/")), Last::Follow)?;
        let slot = Slot::new(folder.folder(path)?, OsString::from(name));
        self.changeable(path, &slot)?;
        Ok(slot)
    }

    /// As [`Self::slot`], for a name in a folder that was found already.
    pub fn slot_in(&self, folder: Found, name: &OsStr) -> Result<Slot, Failure> {
        one_component(name)?;
        let slot = Slot::new(folder, name.to_owned());
        self.changeable(&slot.shown(), &slot)?;
        Ok(slot)
    }

    /// Refuses to move or remove what holds a granted folder: it would take that folder's grant along.
    pub fn movable(&self, slot: &Slot) -> Result<(), Failure> {
        match self.held_by(&slot.position()) {
            Some(grant) => Err(Failure::denied(format!(
                "{}: holds the granted folder {}, which cannot be moved or removed",
                slot.shown(),
                shown(&grant.folder)
            ))),
            None => Ok(()),
        }
    }

    /// What an absolute name leads to that may hold `..`, as the system takes it (an image's backing file).
    pub fn named(&self, name: &Path, wanted: Access) -> Result<Found, Failure> {
        self.lead(&[], name.as_os_str().as_bytes(), Last::Follow, wanted)
    }

    /// What exists at `path` for others to use, who change what is in a granted folder and not the folder itself.
    pub fn lent(&self, path: &str, wanted: Access) -> Result<Found, Failure> {
        let found = self.resolve(path, Last::Follow)?;
        self.access(path, found.position(), found.grant(), wanted)?;
        Ok(found)
    }

    /// Whether a link in this folder may have this target, of which nothing need be there yet: it must lie
    /// below a folder that is granted so, since others follow the link with more rights.
    /// `..` in it is refused: its meaning changes with what is on the way.
    pub fn linkable(&self, folder: &Found, target: &[u8], wanted: Access) -> Result<(), Failure> {
        let path = shown(OsStr::from_bytes(target));
        if target.is_empty() || target.len() > LONGEST_PATH || target.contains(&0) {
            return Err(Failure::invalid(format!(
                "{path:?}: is no target of a link: expected 1 to {LONGEST_PATH} bytes and no NUL"
            )));
        }
        if steps(target).any(|step| step == Step::Up) {
            return Err(Failure::denied(format!("{path}: `..` is not allowed in a link's target")));
        }
        match self.lead(folder.position(), target, Last::Keep, wanted) {
            Err(failure) if failure.kind != FailureKind::NotFound => Err(failure),
            _ => Ok(()),
        }
    }

    /// Where a reference leads that is read in this folder.
    fn lead(&self, folder: &[OsString], reference: &[u8], last: Last, wanted: Access) -> Result<Found, Failure> {
        let path = shown(OsStr::from_bytes(reference));
        let mut from_root = Vec::new();
        if reference.first() != Some(&b'/') {
            from_root.extend(folder.iter().cloned().map(Step::Name));
        }
        from_root.extend(steps(reference));
        let mut hops = 0;
        let found = Walk::from_root(self, &path, from_root, last, &mut hops)?.run()?;
        self.authorise(&path, found.position(), found.grant(), wanted)?;
        Ok(found)
    }

    /// What this name in a folder is; a link itself, not what it leads to.
    pub fn look(&self, folder: &Found, name: &OsStr) -> Result<Found, Failure> {
        one_component(name)?;
        let mut position = folder.position().to_vec();
        position.push(name.to_owned());
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(folder.fd(), name, flags, Mode::empty()) {
            Ok(fd) => Found::new(fd, position, folder.grant()),
            Err(errno) => Err(failure(absolute(&position), "look at it", errno)),
        }
    }

    /// Goes into the folder `name`; makes it where it is missing and `make` says with which permission
    /// bits. Returns whether it was made. Links are not followed.
    pub fn enter(&self, folder: &Found, name: &OsStr, make: Option<Mode>) -> Result<(Found, bool), Failure> {
        one_component(name)?;
        let mut position = folder.position().to_vec();
        position.push(name.to_owned());
        let path = absolute(&position);
        let open = || {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(folder.fd(), name, flags, Mode::empty())
        };
        let mut made = false;
        let opened = match (open(), make) {
            (Err(Errno::NOENT), Some(mode)) => {
                self.access(&shown(&path), &position, folder.grant(), Access::ReadWrite)?;
                match rustix::fs::mkdirat(folder.fd(), name, mode) {
                    Ok(()) => made = true,
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(failure(&path, "make the folder", errno)),
                }
                open()
            }
            (opened, _) => opened,
        };
        match opened {
            Ok(fd) => Ok((Found::new(fd, position, folder.grant())?, made)),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                Err(Failure::exists(format!("{}: is there and is no folder", shown(&path))))
            }
            Err(errno) => Err(failure(&path, "open the folder", errno)),
        }
    }

    /// Makes a granted folder that is missing. The operator named it: links above it are followed. One
    /// below another granted folder is left to be made there.
    pub fn make_granted(&self, path: &str) -> Result<(), Failure> {
        let (folder, access, _) = self.paths.find(path)?;
        if access != Access::ReadWrite {
            return Err(Failure::denied(format!(
                "{}: does not exist and is granted read-only; make it, or grant it \"rw\" under [paths] in the driver's policy",
                shown(folder)
            )));
        }
        std::fs::create_dir_all(folder).map_err(|error| io_failure(folder, "make the folder", &error))
    }

    /// What exists at `path`, whatever may be done there.
    fn resolve(&self, path: &str, last: Last) -> Result<Found, Failure> {
        let (folder, _, below) = self.paths.find(path)?;
        let grant = self.index(folder)?;
        let below = below.into_iter().map(OsString::from).collect();
        let mut hops = 0;
        self.below(path, grant, below, last, &mut hops)
    }

    /// Opens what the names lead to below a granted folder, in one step where no link is on the way.
    fn below(
        &self,
        path: &str,
        grant: usize,
        names: Vec<OsString>,
        last: Last,
        hops: &mut u32,
    ) -> Result<Found, Failure> {
        let root = self.root(grant, hops)?;
        if names.is_empty() {
            let fd = duplicate(path, &root.fd)?;
            return Found::new(fd, root.canonical.clone(), grant);
        }
        match walk::open_beneath(&root.fd, &names) {
            Ok(fd) => {
                let position = root.canonical.iter().chain(&names).cloned().collect();
                let found = Found::new(fd, position, grant)?;
                if last == Last::Keep || !found.is_link() {
                    return Ok(found);
                }
            }
            Err(errno @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)) => return Err(failure(path, "open it", errno)),
            // A link on the way, or a kernel without openat2: the walk says what is wrong, if anything is.
            Err(_) => {}
        }
        Walk::below(self, path, grant, names, last, hops)?.run()
    }

    fn index(&self, folder: &str) -> Result<usize, Failure> {
        self.grants
            .iter()
            .position(|grant| grant.folder == folder)
            .ok_or_else(|| Failure::denied(format!("{}: is no usable granted folder", shown(folder))))
    }

    fn changeable(&self, path: &str, slot: &Slot) -> Result<(), Failure> {
        self.authorise(path, &slot.position(), slot.folder().grant(), Access::ReadWrite)
    }

    /// The decision for a place that was reached: its access, and that no granted folder is changed itself.
    fn authorise(&self, path: &str, position: &[OsString], walked: usize, wanted: Access) -> Result<(), Failure> {
        self.access(path, position, walked, wanted)?;
        if wanted == Access::ReadWrite && self.is_granted_folder(position) {
            return Err(unchangeable(path));
        }
        Ok(())
    }

    fn access(&self, path: &str, position: &[OsString], walked: usize, wanted: Access) -> Result<(), Failure> {
        let grant = self.governing(position, walked);
        if grant.access >= wanted {
            return Ok(());
        }
        let folder = shown(&grant.folder);
        Err(Failure::denied(format!(
            "{}: is {} below {folder}, which is granted read-only; `\"{folder}\" = \"rw\"` under [paths] in the driver's policy would allow it",
            shown(path),
            shown(absolute(position)),
        )))
    }
}

/// Whoever hands names on has looked at them; here is where it would matter if somebody forgot.
fn one_component(name: &OsStr) -> Result<(), Failure> {
    match name.as_bytes() {
        b"" | b"." | b".." => {}
        bytes if bytes.iter().any(|byte| matches!(byte, b'/' | 0)) => {}
        _ => return Ok(()),
    }
    Err(Failure::invalid(format!("{:?}: is no name in a folder", shown(name))))
}

fn unchangeable(path: &str) -> Failure {
    Failure::denied(format!("{}: a granted folder itself cannot be changed, only what is below it", shown(path)))
}

fn duplicate(path: &str, fd: &OwnedFd) -> Result<OwnedFd, Failure> {
    fd.as_fd().try_clone_to_owned().map_err(|error| io_failure(path, "open it", &error))
}

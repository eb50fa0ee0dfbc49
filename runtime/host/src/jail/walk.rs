//! The way through links: component by component, each opened below the descriptor of the one before
//! and without following. A link's text is read from its own descriptor; an absolute one starts anew
//! below the granted folder that holds its target, a relative one goes on where it is. `..` goes back on
//! the stack of descriptors, never to what the kernel calls the parent by then.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::types::Failure;
use remotes_process::report::{failure, shown};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::place::Found;
use super::steps::{Step, absolute, joined, steps};
use super::{Jail, Last};

/// Links on one way, as many as the kernel allows (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;
/// Folders on one way: each is a descriptor.
const MAX_DEPTH: usize = 256;

/// One component, not followed, not opened.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens what the names lead to in one step; fails with `LOOP` where a link is on the way. A link as
/// last component is opened itself.
pub(super) fn open_beneath(root: &OwnedFd, names: &[OsString]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, joined(names), LOOK, Mode::empty(), resolve)
}

/// One resolution under way.
pub(super) struct Walk<'a> {
    jail: &'a Jail,
    /// What was asked for.
    path: &'a str,
    /// The granted folder that the way is below now.
    grant: usize,
    /// Real names and descriptors from there to here.
    stack: Vec<(OsString, OwnedFd)>,
    /// What is still to go, the next step last.
    pending: Vec<Step>,
    last: Last,
    hops: &'a mut u32,
    /// The link followed last, and its text.
    link: Option<(String, String)>,
}

impl<'a> Walk<'a> {
    /// Below a granted folder.
    pub fn below(
        jail: &'a Jail,
        path: &'a str,
        grant: usize,
        names: Vec<OsString>,
        last: Last,
        hops: &'a mut u32,
    ) -> Result<Self, Failure> {
        let pending = names.into_iter().rev().map(Step::Name).collect();
        Ok(Self { jail, path, grant, stack: Vec::new(), pending, last, hops, link: None })
    }

    /// From the root of the file system, which must lead into a granted folder.
    pub fn from_root(
        jail: &'a Jail,
        path: &'a str,
        steps: Vec<Step>,
        last: Last,
        hops: &'a mut u32,
    ) -> Result<Self, Failure> {
        let mut walk = Self { jail, path, grant: 0, stack: Vec::new(), pending: Vec::new(), last, hops, link: None };
        walk.restart(steps)?;
        Ok(walk)
    }

    /// Goes to the end.
    pub fn run(mut self) -> Result<Found, Failure> {
        while let Some(step) = self.pending.pop() {
            let name = match step {
                Step::Name(name) => name,
                Step::Up => {
                    self.up()?;
                    continue;
                }
                Step::Stay => continue,
            };
            let last = self.pending.is_empty();
            let fd = self.open(&name, last)?;
            let position = self.position(Some(&name))?;
            let found = Found::new(fd, position, self.grant)?;
            match found.kind() {
                FileType::Symlink if last && self.last == Last::Keep => return Ok(found),
                FileType::Symlink => self.follow(&found)?,
                FileType::Directory if self.stack.len() == MAX_DEPTH => {
                    return Err(Failure::invalid(format!(
                        "{}: leads through more than {MAX_DEPTH} folders",
                        shown(self.path)
                    )));
                }
                FileType::Directory => self.stack.push((name, found.into_fd())),
                _ if last => return Ok(found),
                _ => return Err(failure(self.path, "go through it", Errno::NOTDIR)),
            }
        }
        let position = self.position(None)?;
        let fd = match self.stack.pop() {
            Some((_, fd)) => fd,
            None => super::duplicate(self.path, &self.jail.root(self.grant, self.hops)?.fd)?,
        };
        Found::new(fd, position, self.grant)
    }

    fn open(&mut self, name: &OsStr, last: bool) -> Result<OwnedFd, Failure> {
        let here: BorrowedFd<'_> = match self.stack.last() {
            Some((_, fd)) => fd.as_fd(),
            None => self.jail.root(self.grant, self.hops)?.fd.as_fd(),
        };
        // Asking for a folder makes the kernel mount what waits to be mounted there.
        let folder = if last { Err(Errno::NOTDIR) } else { look(here, name, LOOK | OFlags::DIRECTORY) };
        match folder {
            Err(Errno::NOTDIR | Errno::LOOP) => look(here, name, LOOK),
            result => result,
        }
        .map_err(|errno| match &self.link {
            Some((link, target)) => failure(format!("{} (link {link} to {target})", self.path), "open it", errno),
            None => failure(self.path, "open it", errno),
        })
    }

    /// Names from the root of the file system to here.
    fn position(&mut self, name: Option<&OsString>) -> Result<Vec<OsString>, Failure> {
        let root = self.jail.root(self.grant, self.hops)?;
        let names = self.stack.iter().map(|(name, _)| name).chain(name);
        Ok(root.canonical.iter().chain(names).cloned().collect())
    }

    fn follow(&mut self, link: &Found) -> Result<(), Failure> {
        *self.hops += 1;
        if *self.hops > MAX_LINKS {
            return Err(Failure::invalid(format!(
                "{}: more than {MAX_LINKS} links on the way; do they lead in a circle?",
                shown(self.path)
            )));
        }
        let target = rustix::fs::readlinkat(link.fd(), "", Vec::new())
            .map_err(|errno| failure(absolute(link.position()), "read the link", errno))?;
        let target = target.as_bytes();
        self.link = Some((link.shown(), shown(OsStr::from_bytes(target))));
        let mut steps: Vec<Step> = steps(target).collect();
        if target.first() == Some(&b'/') {
            steps.extend(self.pending.drain(..).rev());
            return self.restart(steps);
        }
        self.pending.extend(steps.into_iter().rev());
        Ok(())
    }

    /// `..`: above a granted folder it goes on where that folder really is, if that is granted too.
    fn up(&mut self) -> Result<(), Failure> {
        if self.stack.pop().is_some() {
            return Ok(());
        }
        let mut from_root = self.position(None)?;
        from_root.pop();
        while let Some(Step::Up | Step::Stay) = self.pending.last() {
            if self.pending.pop() == Some(Step::Up) {
                from_root.pop();
            }
        }
        let steps = from_root.into_iter().map(Step::Name).chain(self.pending.drain(..).rev()).collect();
        self.restart(steps)
    }

    /// Goes on from the root of the file system: below the granted folder that holds these steps.
    fn restart(&mut self, mut steps: Vec<Step>) -> Result<(), Failure> {
        // Above the root of the file system is the root.
        let ups = steps.iter().take_while(|step| !matches!(step, Step::Name(_))).count();
        steps.drain(..ups);
        // In between it says nothing: only a folder can have further steps behind it.
        let end = steps.pop();
        steps.retain(|step| *step != Step::Stay);
        steps.extend(end);
        let names: Vec<OsString> = steps
            .iter()
            .map_while(|step| match step {
                Step::Name(name) => Some(name.clone()),
                Step::Up | Step::Stay => None,
            })
            .collect();
        let Some((grant, used)) = self.jail.holder(&names, self.hops) else {
            return Err(self.outside(&names));
        };
        self.grant = grant;
        self.stack.clear();
        self.pending = steps.split_off(used).into_iter().rev().collect();
        Ok(())
    }

    fn outside(&self, names: &[OsString]) -> Failure {
        let grant = shown(absolute(&names[..names.len().saturating_sub(1)])).replace('"', "\\\"");
        let way = match &self.link {
            Some((link, target)) => format!("the link {link} leads to {target}"),
            None => format!("leads to {}", shown(absolute(names))),
        };
        Failure::denied(format!(
            "{}: {way}, outside the granted folders; `\"{grant}\" = \"ro\"` under [paths] in the driver's policy would allow to \
             read it, \"rw\" to change it",
            shown(self.path)
        ))
    }
}

fn look(folder: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

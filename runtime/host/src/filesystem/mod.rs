//! Files and folders of this machine, below the granted folders.

mod archive;
pub(crate) mod copy;
pub(crate) mod link;
mod remove;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::deadline::Deadline;
use remotes_effect::filesystem::{Executor, Kind, Metadata};
use remotes_effect::policy::{Access, normalized};
use remotes_effect::types::{Failure, FailureKind, Place};
use remotes_process::report::{failure, io_failure, shown, timeout};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::beside::Beside;
use crate::jail::{Found, Jail, Last};
use crate::progress::Progress;

/// Files that are read or written whole are no longer than this.
const MAX_FILE: usize = 4 * 1024 * 1024;
/// Folders that are listed have no more entries than this.
const MAX_ENTRIES: usize = 10_000;

/// The executor of `filesystem`.
#[derive(Debug, Clone, Copy)]
pub struct Filesystem<'a> {
    jail: &'a Jail,
    deadline: Deadline,
}

impl<'a> Filesystem<'a> {
    /// Acts below the jail's folders, no longer than until the deadline.
    pub fn new(jail: &'a Jail, deadline: Deadline) -> Self {
        Self { jail, deadline }
    }

    /// The folder at `path`, made if need be; and whether it was made.
    pub(crate) fn folder(&self, path: &str, mode: Mode) -> Result<(Found, bool), Failure> {
        let names = normalized(path)?;
        let above = |count: usize| format!("/{}", names[..count].join("/"));
        let mut there = None;
        let mut missing = None;
        for count in (0..=names.len()).rev() {
            match self.jail.find(&above(count), Access::ReadOnly, Last::Follow) {
                Ok(found) => {
                    there = Some((found, count));
                    break;
                }
                Err(failure) if failure.kind == FailureKind::NotFound => missing = Some(count),
                // Above the granted folders, one of which is missing.
                Err(failure) if failure.kind == FailureKind::Denied && missing.is_some() => break,
                Err(failure) => return Err(failure),
            }
        }
        let mut made = false;
        let (mut folder, count) = match (there, missing) {
            (Some(there), _) => there,
            (None, Some(outermost)) => {
                self.jail.make_granted(&above(outermost))?;
                made = outermost == names.len();
                (self.jail.find(&above(outermost), Access::ReadOnly, Last::Follow)?, outermost)
            }
            (None, None) => return Err(Failure::denied(format!("{}: not below a granted folder", shown(path)))),
        };
        if folder.kind() != FileType::Directory {
            return Err(Failure::exists(format!("{}: is there and is no folder", folder.shown())));
        }
        for (index, name) in names.iter().enumerate().skip(count) {
            // Folders on the way get the usual bits: those asked for may shut their owner out.
            let mode = if index + 1 == names.len() { mode } else { Mode::from_raw_mode(0o755) };
            (folder, made) = self.jail.enter(&folder, OsStr::new(name), Some(mode))?;
        }
        Ok((folder, made))
    }
}

impl Executor for Filesystem<'_> {
    fn stat(&mut self, at: &Place) -> Result<Metadata, Failure> {
        let found = self.jail.find(&at.path, Access::ReadOnly, Last::Keep)?;
        let stat = found.stat();
        Ok(Metadata {
            kind: match found.kind() {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                FileType::Symlink => Kind::Symlink,
                FileType::BlockDevice => Kind::BlockDevice,
                _ => Kind::Other,
            },
            size: u64::try_from(stat.st_size).unwrap_or(0),
            allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            mode: stat.st_mode & 0o7777,
            modified: u64::try_from(stat.st_mtime).unwrap_or(0),
        })
    }

    fn entries(&mut self, at: &Place) -> Result<Vec<String>, Failure> {
        let found = self.jail.find(&at.path, Access::ReadOnly, Last::Follow)?.folder(&at.path)?;
        let folder = found.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
        let fail = |errno| failure(&at.path, "list the folder", errno);
        let mut names = Vec::new();
        for entry in Dir::new(folder).map_err(fail)? {
            if self.deadline.passed() {
                return Err(timeout(&at.path, "listing the folder"));
            }
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if names.len() == MAX_ENTRIES {
                return Err(Failure::invalid(format!("{}: has more than {MAX_ENTRIES} entries", shown(&at.path))));
            }
            names.push(text(&at.path, "a name in it", name.to_vec())?);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&mut self, at: &Place) -> Result<Vec<u8>, Failure> {
        let found = self.jail.find(&at.path, Access::ReadOnly, Last::Follow)?.regular(&at.path)?;
        let mut file = File::from(found.open(OFlags::RDONLY)?);
        let mut content = Vec::new();
        let mut piece = [0; 64 * 1024];
        // The size that the system states means nothing for files that grow, or that it makes up.
        loop {
            if self.deadline.passed() {
                return Err(timeout(&at.path, "reading"));
            }
            match file.read(&mut piece).map_err(|error| io_failure(&at.path, "read", &error))? {
                0 => return Ok(content),
                count => content.extend_from_slice(&piece[..count]),
            }
            if content.len() > MAX_FILE {
                return Err(too_long(&at.path));
            }
        }
    }

    fn write(&mut self, at: &Place, content: &[u8], mode: u32) -> Result<(), Failure> {
        let mode = permissions(&at.path, mode)?;
        if content.len() > MAX_FILE {
            return Err(too_long(&at.path));
        }
        let slot = self.jail.slot(&at.path)?;
        slot.replaceable()?;
        let new = Beside::new(&slot, Mode::RUSR | Mode::WUSR)?;
        new.file().write_all(content).map_err(|error| io_failure(&at.path, "write", &error))?;
        rustix::fs::fchmod(new.file(), mode).map_err(|errno| failure(&at.path, "set its permission bits", errno))?;
        new.replace()
    }

    fn make_directory(&mut self, at: &Place, mode: u32) -> Result<(), Failure> {
        let mode = permissions(&at.path, mode)?;
        let (folder, made) = self.folder(&at.path, mode)?;
        // The process's umask took bits away.
        if made { folder.set_mode(mode) } else { Ok(()) }
    }

    fn read_link(&mut self, at: &Place) -> Result<String, Failure> {
        let found = self.jail.find(&at.path, Access::ReadOnly, Last::Keep)?;
        if found.kind() != FileType::Symlink {
            return Err(Failure::invalid(format!("{}: is no link", shown(&at.path))));
        }
        let target = rustix::fs::readlinkat(found.fd(), "", Vec::new())
            .map_err(|errno| failure(&at.path, "read the link", errno))?;
        text(&at.path, "its target", target.into_bytes())
    }

    fn link(&mut self, at: &Place, target: &str) -> Result<(), Failure> {
        link::make(self.jail, &self.jail.slot(&at.path)?, target.as_bytes())
    }

    fn rename(&mut self, source: &Place, target: &Place) -> Result<(), Failure> {
        let (from, to) = (self.jail.slot(&source.path)?, self.jail.slot(&target.path)?);
        self.jail.movable(&from)?;
        self.jail.movable(&to)?;
        rustix::fs::renameat(from.folder().fd(), from.name(), to.folder().fd(), to.name())
            .map_err(|errno| failure(format!("{} → {}", source.path, target.path), "rename", errno))
    }

    fn copy(&mut self, source: &Place, target: &Place) -> Result<(), Failure> {
        let from = self.jail.find(&source.path, Access::ReadOnly, Last::Follow)?.regular(&source.path)?;
        let slot = self.jail.slot(&target.path)?;
        slot.replaceable()?;
        // Two names of one file: it is there already.
        if slot.stat()?.is_some_and(|stat| from.is(&stat)) {
            return Ok(());
        }
        let file = File::from(from.open(OFlags::RDONLY)?);
        let new = Beside::new(&slot, Mode::from_raw_mode(from.stat().st_mode & 0o777))?;
        let mut progress = Progress::new(&source.path);
        copy::copy(&file, new.file(), self.deadline, &mut progress)
            .map_err(|error| error.failure(&source.path, &target.path))?;
        new.replace()
    }

    fn set_mode(&mut self, at: &Place, mode: u32) -> Result<(), Failure> {
        let mode = permissions(&at.path, mode)?;
        let found = self.jail.find(&at.path, Access::ReadWrite, Last::Follow)?;
        match found.kind() {
            FileType::Directory => found.set_mode(mode),
            _ => found.regular(&at.path)?.set_mode(mode),
        }
    }

    fn remove(&mut self, at: &Place, recursive: bool) -> Result<(), Failure> {
        let slot = match self.jail.slot(&at.path) {
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(()),
            slot => slot?,
        };
        self.jail.movable(&slot)?;
        match slot.stat()?.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            None => Ok(()),
            Some(FileType::Directory) if recursive => remove::tree(&slot, self.deadline),
            Some(FileType::Directory) => {
                Err(Failure::invalid(format!("{}: is a folder; to remove it, ask for `recursive`", shown(&at.path))))
            }
            Some(_) => match rustix::fs::unlinkat(slot.folder().fd(), slot.name(), AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
                Err(errno) => Err(failure(&at.path, "remove", errno)),
            },
        }
    }

    fn unpack(&mut self, at: &Place, archive: &[u8]) -> Result<u32, Failure> {
        let folder = self.jail.find(&at.path, Access::ReadWrite, Last::Follow)?.folder(&at.path)?;
        archive::unpack(self.jail, folder, archive, self.deadline)
    }
}

/// Permission bits that a driver may set. Those that make a program run as somebody else are not among
/// them: they would hand the runtime's rights to whoever runs the file.
fn permissions(path: &str, mode: u32) -> Result<Mode, Failure> {
    match mode & !0o1777 {
        0 => Ok(Mode::from_raw_mode(mode)),
        _ => Err(Failure::invalid(format!(
            "{}: mode {mode:o}: expected at most 1777 (set-user-ID and set-group-ID bits are never set)",
            shown(path)
        ))),
    }
}

fn too_long(path: &str) -> Failure {
    Failure::invalid(format!(
        "{}: longer than {} MiB; larger files are copied, not read or written",
        shown(path),
        MAX_FILE / 1024 / 1024
    ))
}

fn text(path: &str, what: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let name = shown(OsStr::from_bytes(error.as_bytes()));
        Failure::invalid(format!("{}: {what} is no UTF-8: {name}", shown(path)))
    })
}

//! Files that a description names, as the hypervisor will find them. It follows links and opens what the headers
//! of images name, with rights that the driver does not have.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::libvirt::{CopyTarget, Effect};
use remotes_effect::policy::{Access, NamedFile, Policy, check_document, named_images};
use remotes_effect::types::{Failure, FailureKind, Node};
use remotes_process::report::{failure, shown};
use rustix::fs::FileType;

use crate::image::{Format, chain};
use crate::jail::{Found, Jail, Last};

/// Links that lead to a device at most.
const MOST_LINKS: usize = 40;
/// Where links are the system's own.
const DEVICES: &str = "/dev/";

/// By what an effect has the hypervisor open files.
pub(super) enum Opening<'a> {
    /// it opens none, or those that it has open
    Nothing,
    /// by a description of the driver's
    Description(&'a str),
    /// by the description in a checkpoint
    Saved { on: &'a Node, path: &'a str },
    /// by what libvirt knows of a domain, and of a snapshot of it
    Domain { on: &'a Node, domain: &'a str, snapshot: Option<&'a str> },
    /// by a description of a snapshot, and by what libvirt knows of its domain
    Snapshot { on: &'a Node, domain: &'a str, xml: &'a str },
    /// by its name, to write to it
    Target(&'a CopyTarget),
}

/// What an effect opens.
pub(super) fn opening(effect: &Effect) -> Opening<'_> {
    match effect {
        Effect::Create { xml, .. }
        | Effect::Define { xml, .. }
        | Effect::AttachDevice { xml, .. }
        | Effect::UpdateDevice { xml, .. }
        | Effect::SnapshotRedefine { xml, .. }
        | Effect::Restore { xml: Some(xml), .. } => Opening::Description(xml),
        // What is in the file is what starts. The server holds the policy against it once more, and starts what it
        // has seen.
        Effect::Restore { on, path, xml: None } => Opening::Saved { on, path },
        // Of a machine that does not run libvirt itself opens the images.
        Effect::SnapshotCreate { on, domain, xml } => Opening::Snapshot { on, domain, xml },
        Effect::SnapshotDelete { metadata_only: true, .. } => Opening::Nothing,
        // The machine starts anew with what its images are now, in the state that the snapshot has.
        Effect::SnapshotRevert { on, domain, snapshot, .. } | Effect::SnapshotDelete { on, domain, snapshot, .. } => {
            Opening::Domain { on, domain, snapshot: Some(snapshot) }
        }
        // The other host's hypervisor opens them anew.
        Effect::Migrate { on, domain, .. } => Opening::Domain { on, domain, snapshot: None },
        Effect::BlockCopy { target, .. } => Opening::Target(target),
        Effect::Undefine { .. }
        | Effect::Find { .. }
        | Effect::Domains { .. }
        | Effect::Xml { .. }
        | Effect::Shutdown { .. }
        | Effect::Destroy { .. }
        | Effect::Reboot { .. }
        | Effect::Reset { .. }
        | Effect::Suspend { .. }
        | Effect::Resume { .. }
        | Effect::WakeUp { .. }
        | Effect::SyncTime { .. }
        | Effect::Save { .. }
        | Effect::SavedXml { .. }
        | Effect::DetachDevice { .. }
        | Effect::UnplugDevice { .. }
        | Effect::ResizeBlock { .. }
        | Effect::SetVcpus { .. }
        | Effect::SetMemory { .. }
        | Effect::Metadata { .. }
        | Effect::SetMetadata { .. }
        | Effect::Snapshots { .. }
        | Effect::SnapshotCurrent { .. }
        | Effect::SnapshotXml { .. }
        | Effect::GuestAgent { .. }
        | Effect::AbortJob { .. }
        | Effect::BlockJob { .. }
        | Effect::EndBlockJob { .. }
        | Effect::Freeze { .. }
        | Effect::Thaw { .. }
        | Effect::Checkpoints { .. }
        | Effect::CheckpointXml { .. }
        | Effect::CheckpointCreate { .. }
        | Effect::CheckpointDelete { .. }
        | Effect::SetBandwidth { .. } => Opening::Nothing,
    }
}

/// Refuses a description by which the hypervisor would reach beyond the granted folders. What does not exist
/// is for the hypervisor to say.
pub(super) fn check(jail: &Jail, policy: &Policy, xml: &str) -> Result<(), Failure> {
    let Some(grant) = &policy.libvirt else { return Ok(()) };
    let files = check_document(grant, &policy.paths, xml)?;
    files.iter().try_for_each(|file| check_file(jail, policy, file))
}

/// The same for the images of a description that is libvirt's own.
pub(super) fn check_images(jail: &Jail, policy: &Policy, xml: &str) -> Result<(), Failure> {
    named_images(xml)?.iter().try_for_each(|file| check_file(jail, policy, file))
}

/// Refuses a file by which the hypervisor would reach beyond the granted folders.
pub(super) fn check_file(jail: &Jail, policy: &Policy, file: &NamedFile) -> Result<(), Failure> {
    if file.path.starts_with(DEVICES) {
        return check_device(file);
    }
    match jail.lent(&file.path, file.access) {
        Ok(found) if found.kind() == FileType::BlockDevice => check_device(file),
        Ok(found) => check_image(jail, found, file),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(()),
        // Volumes are reached by links of the datastore's, and by more below /dev.
        Err(failure) => match device(jail, &file.path)? {
            Some(device) => {
                check_device(file)?;
                policy.paths.check(&device, file.access)
            }
            None => Err(failure),
        },
    }
}

/// What a guest has written to its volume could be the header of an image, which names files.
fn check_device(file: &NamedFile) -> Result<(), Failure> {
    match &file.format {
        Some(name) if !is_plain(name) => Err(Failure::denied(format!(
            "{}: is a device and said to hold an image of format {}; only raw ones are used there",
            shown(&file.path),
            shown(name)
        ))),
        _ => Ok(()),
    }
}

/// Whether an image of this format names no other files.
fn is_plain(format: &str) -> bool {
    matches!(format, "raw" | "luks")
}

/// The path below `/dev` that a link leads to, by itself or by others.
fn device(jail: &Jail, path: &str) -> Result<Option<String>, Failure> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if path.starts_with(DEVICES) {
            return Ok(Some(path));
        }
        let found = jail.find(&path, Access::ReadOnly, Last::Keep)?;
        if found.kind() != FileType::Symlink {
            break;
        }
        let target = rustix::fs::readlinkat(found.fd(), "", Vec::new())
            .map_err(|errno| failure(&path, "read the link", errno))?;
        match OsStr::from_bytes(target.as_bytes()).to_str() {
            Some(target) if target.starts_with('/') => path = target.to_owned(),
            _ => break,
        }
    }
    Ok(None)
}

/// What a qcow2 image's header names is opened, and what the next one's names, and so on.
fn check_image(jail: &Jail, image: Found, file: &NamedFile) -> Result<(), Failure> {
    let format = match file.format.as_deref().filter(|name| !is_plain(name)) {
        None => return Ok(()),
        Some(name) => Format::readable(name).ok_or_else(|| {
            Failure::denied(format!(
                "{}: an image of format {} may name files of its own; convert it to qcow2 or raw first",
                shown(&file.path),
                shown(name)
            ))
        })?,
    };
    match format {
        Format::Qcow2 => match chain(jail, image, &file.path, format, file.access) {
            Err(failure) if failure.kind != FailureKind::NotFound => Err(failure),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

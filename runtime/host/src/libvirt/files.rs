//! Files that a description names, as the hypervisor will find them. It follows links and opens what the headers
//! of images name, with rights that the driver does not have.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::libvirt::Effect;
use remotes_effect::policy::{Access, NamedFile, Policy, check_document, named_images};
use remotes_effect::types::{Failure, FailureKind};
use rustix::fs::FileType;

use crate::image::{Format, chain};
use crate::jail::{Found, Jail, Last};
use crate::report::{failure, shown};

/// Links that lead to a device at most.
const MOST_LINKS: usize = 40;
/// Where links are the system's own.
const DEVICES: &str = "/dev/";

/// The description that an effect hands to the hypervisor, where it is one that files are opened by.
pub(super) fn description(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::Create { xml, .. }
        | Effect::Define { xml, .. }
        | Effect::AttachDevice { xml, .. }
        | Effect::UpdateDevice { xml, .. }
        | Effect::SnapshotCreate { xml, .. }
        | Effect::SnapshotRedefine { xml, .. } => Some(xml),
        Effect::Restore { xml, .. } => xml.as_deref(),
        _ => None,
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
    match jail.find(&file.path, file.access, Last::Follow) {
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
        Format::Qcow2 => match chain(jail, image, &file.path, format) {
            Err(failure) if failure.kind != FailureKind::NotFound => Err(failure),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

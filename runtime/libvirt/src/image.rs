//! Files that libvirtd is told to use: checkpoints, targets of copies. It opens them with its own rights, so
//! where a path really leads is checked before it is told the path.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use remotes_effect::policy::{Access, PathGrants, check_domain_document, domain_name};
use remotes_effect::types::Failure;
use virt::domain::Domain;
use virt::sys;

use crate::arguments::{bounded, plain, shown};
use crate::fault::Fault;
use crate::session::View;

impl View<'_> {
    /// The path to tell libvirt: without links where the daemon is on this machine. On another one only
    /// the path's text can be checked.
    pub fn image(&self, path: &str, wanted: Access) -> Result<String, Fault> {
        plain("the path", path)?;
        self.paths.check(path, wanted)?;
        match self.local {
            true => Ok(resolved(self.paths, path, wanted)?),
            false => Ok(path.to_owned()),
        }
    }

    /// The path of something that is there already, to stand in a domain's description: without links on the
    /// way, but with granted folders as the policy spells them, so that it means the same on other hosts.
    pub fn existing(&self, path: &str, kind: Kind, wanted: Access) -> Result<String, Fault> {
        plain("the path", path)?;
        self.paths.check(path, wanted)?;
        match (self.local, kind) {
            (false, _) => Ok(path.to_owned()),
            (true, Kind::Block) => Ok(device(self.paths, path, wanted)?),
            (true, Kind::File) => {
                let real = follow(Path::new(path), Access::ReadOnly)?;
                Ok(granted(self.paths, path, &real, wanted)?)
            }
        }
    }

    /// The XML in a checkpoint, with the passwords in it, if that domain may be started as it is: anybody may
    /// have written the file.
    pub fn startable_xml(&self, path: &str) -> Result<String, Fault> {
        let xml = Domain::save_image_get_xml_desc(self.connection, path, sys::VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)?;
        let xml = bounded(xml)?;
        check_domain_document(self.grant, self.paths, &xml)?;
        Ok(xml)
    }

    /// The XML in a checkpoint, if the domain it holds is granted.
    pub fn saved_xml(&self, path: &str) -> Result<String, Fault> {
        let xml = bounded(Domain::save_image_get_xml_desc(self.connection, path, 0)?)?;
        self.grant.check_domain(&domain_name(&xml)?)?;
        Ok(xml)
    }
}

/// What a path is to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Block,
}

/// How many links lead to a device at most.
const MOST_LINKS: usize = 40;

/// The path with all links followed, which must lie below a granted folder. A file that is there must be a
/// regular one.
fn resolved(grants: &PathGrants, path: &str, wanted: Access) -> Result<String, Failure> {
    let real = follow(Path::new(path), wanted)?;
    granted(grants, path, &real, wanted)?;
    utf8(path, &real).map(str::to_owned)
}

/// Checks where `path` leads: below a granted folder, links in that folder's own path followed too. Says
/// how the policy spells it.
fn granted(grants: &PathGrants, path: &str, real: &Path, wanted: Access) -> Result<String, Failure> {
    let mut folders: BTreeMap<String, Access> = BTreeMap::new();
    let mut spelt: BTreeMap<String, &str> = BTreeMap::new();
    for (folder, access) in &grants.0 {
        if let Some(canonical) = fs::canonicalize(folder).ok().and_then(|folder| folder.to_str().map(str::to_owned)) {
            let best = folders.get(&canonical).copied().unwrap_or(*access);
            folders.insert(canonical.clone(), best.max(*access));
            spelt.insert(canonical, folder);
        }
    }
    let (real, folders) = (utf8(path, real)?, PathGrants(folders));
    folders.check(real, wanted).map_err(|failure| match failure.message.starts_with(path) {
        true => failure,
        false => Failure { message: format!("{}: leads to {}", shown(path), failure.message), ..failure },
    })?;
    let (folder, _, below) = folders.find(real)?;
    let folder = spelt.get(folder).copied().unwrap_or(folder);
    Ok(format!("{}/{}", folder.trim_end_matches('/'), below.join("/")))
}

/// The granted path of a block device. Links are followed up to it and no further: those below `/dev` are
/// the system's own, and the names they stand for (`/dev/dm-3`) change from boot to boot.
fn device(grants: &PathGrants, path: &str, wanted: Access) -> Result<String, Failure> {
    let shown = shown(path);
    let none = || Failure::invalid(format!("{shown}: expected a block device below /dev"));
    let mut at = PathBuf::from(path);
    for _ in 0..MOST_LINKS {
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else { return Err(none()) };
        let parent = fs::canonicalize(parent).map_err(|error| trouble(&shown, &error))?;
        let real = parent.join(name);
        let spelt = granted(grants, path, &real, wanted)?;
        if real.starts_with("/dev") {
            let leads = fs::canonicalize(&real).map_err(|error| trouble(&shown, &error))?;
            let block = fs::metadata(&leads).is_ok_and(|it| it.file_type().is_block_device());
            return if block && leads.starts_with("/dev") { Ok(spelt) } else { Err(none()) };
        }
        match fs::read_link(&real) {
            Ok(target) => at = parent.join(target),
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(none()),
            Err(error) => return Err(trouble(&shown, &error)),
        }
    }
    Err(Failure::invalid(format!("{shown}: more than {MOST_LINKS} links on the way")))
}

fn utf8<'a>(path: &str, real: &'a Path) -> Result<&'a str, Failure> {
    real.to_str().ok_or_else(|| Failure::invalid(format!("{}: leads to a path that is no UTF-8", shown(path))))
}

fn trouble(shown: &str, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::not_found(format!("{shown}: does not exist")),
        _ => Failure::failed(format!("{shown}: {error}")),
    }
}

fn follow(path: &Path, wanted: Access) -> Result<PathBuf, Failure> {
    let shown = shown(&path.to_string_lossy());
    match fs::canonicalize(path) {
        Ok(real) if fs::metadata(&real).is_ok_and(|it| it.is_file()) => Ok(real),
        Ok(_) => Err(Failure::invalid(format!("{shown}: is not a regular file"))),
        Err(error) if error.kind() == ErrorKind::NotFound && wanted == Access::ReadWrite => {
            if path.is_symlink() {
                return Err(Failure::denied(format!("{shown}: is a link to something that does not exist")));
            }
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Failure::invalid(format!("{shown}: expected the path of a file")));
            };
            Ok(fs::canonicalize(parent).map_err(|error| trouble(&shown, &error))?.join(name))
        }
        Err(error) => Err(trouble(&shown, &error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use remotes_effect::types::FailureKind;
    use tempfile::tempdir;

    use super::*;

    fn grants(folders: &[&Path]) -> PathGrants {
        PathGrants(folders.iter().map(|folder| (folder.to_str().unwrap().to_owned(), Access::ReadWrite)).collect())
    }

    #[test]
    fn a_granted_folder_keeps_its_spelling() {
        let folder = tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("mounted/0")).unwrap();
        fs::write(at("mounted/0/disk"), "").unwrap();
        symlink(at("mounted"), at("datastores")).unwrap();
        symlink("0/disk", at("mounted/link")).unwrap();
        let grants = grants(&[&at("datastores")]);
        let disk = at("datastores/0/disk").to_str().unwrap().to_owned();
        for path in ["datastores/0/disk", "datastores//0/./disk", "datastores/link"] {
            let path = at(path).to_str().unwrap().to_owned();
            let real = follow(Path::new(&path), Access::ReadOnly).unwrap();
            assert_eq!(granted(&grants, &path, &real, Access::ReadWrite).unwrap(), disk);
            assert!(resolved(&grants, &path, Access::ReadWrite).unwrap().ends_with("mounted/0/disk"));
        }
    }

    #[test]
    fn a_block_device_is_one_below_a_granted_folder_of_dev() {
        let block = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.file_type().is_block_device());
        let Some(disk) = fs::read_dir("/dev").unwrap().map(|entry| entry.unwrap().path()).find(block) else {
            return remotes_test_support::skipped("this machine has no block device");
        };
        let folder = tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        symlink(&disk, at("disk.1")).unwrap();
        symlink("disk.1", at("chain")).unwrap();
        symlink("/dev/null", at("character")).unwrap();
        symlink("loop", at("loop")).unwrap();
        fs::write(at("file"), "").unwrap();
        let both = grants(&[folder.path(), Path::new("/dev")]);
        for path in [disk.to_str().unwrap(), &at("disk.1"), &at("chain")] {
            assert_eq!(device(&both, path, Access::ReadWrite).unwrap(), disk.to_str().unwrap());
        }
        let folder_only = grants(&[folder.path()]);
        assert_eq!(device(&folder_only, &at("chain"), Access::ReadWrite).unwrap_err().kind, FailureKind::Denied);
        let read_only = PathGrants([("/dev".to_owned(), Access::ReadOnly)].into());
        let failure = device(&read_only, disk.to_str().unwrap(), Access::ReadWrite).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        for name in ["character", "loop", "file"] {
            assert_eq!(device(&both, &at(name), Access::ReadWrite).unwrap_err().kind, FailureKind::Invalid, "{name}");
        }
        assert_eq!(device(&both, &at("absent"), Access::ReadWrite).unwrap_err().kind, FailureKind::NotFound);
    }
}

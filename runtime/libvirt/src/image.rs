//! Checkpoint files. libvirtd opens them with its own rights, so where a path really leads is checked
//! before it is told the path.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use remotes_effect::policy::{Access, PathGrants, domain_name};
use remotes_effect::types::Failure;
use virt::domain::Domain;

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

    /// The XML in a checkpoint, if the domain it holds is granted.
    pub fn saved_xml(&self, path: &str) -> Result<String, Fault> {
        let xml = bounded(Domain::save_image_get_xml_desc(self.connection, path, 0)?)?;
        self.grant.check_domain(&domain_name(&xml)?)?;
        Ok(xml)
    }
}

/// The path with all links followed, which must lie below a granted folder, links in that folder's own
/// path followed too. A file that is there must be a regular one.
fn resolved(grants: &PathGrants, path: &str, wanted: Access) -> Result<String, Failure> {
    let real = follow(Path::new(path), wanted)?;
    let real =
        real.to_str().ok_or_else(|| Failure::invalid(format!("{}: leads to a path that is no UTF-8", shown(path))))?;
    let mut folders: BTreeMap<String, Access> = BTreeMap::new();
    for (folder, access) in &grants.0 {
        if let Some(folder) = fs::canonicalize(folder).ok().and_then(|folder| folder.to_str().map(str::to_owned)) {
            let best = folders.get(&folder).copied().unwrap_or(*access);
            folders.insert(folder, best.max(*access));
        }
    }
    PathGrants(folders).check(real, wanted).map_err(|failure| match failure.message.starts_with(path) {
        true => failure,
        false => Failure { message: format!("{}: leads to {}", shown(path), failure.message), ..failure },
    })?;
    Ok(real.to_owned())
}

fn follow(path: &Path, wanted: Access) -> Result<PathBuf, Failure> {
    let shown = shown(&path.to_string_lossy());
    let trouble = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Failure::not_found(format!("{shown}: does not exist")),
        _ => Failure::failed(format!("{shown}: {error}")),
    };
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
            Ok(fs::canonicalize(parent).map_err(trouble)?.join(name))
        }
        Err(error) => Err(trouble(error)),
    }
}

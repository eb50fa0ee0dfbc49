//! Granted folders. This is the textual half: what a path says. The executor resolves links below the
//! granted folder's descriptor, and asks again for every absolute link it meets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::Failure;

/// What may be done below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Access {
    /// look and read
    #[serde(rename = "ro")]
    ReadOnly,
    /// change as well
    #[serde(rename = "rw")]
    ReadWrite,
}

impl Access {
    /// As the policy file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        }
    }
}

/// Folders by absolute path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathGrants(pub BTreeMap<String, Access>);

impl PathGrants {
    /// The innermost granted folder that holds the path, its access, and the path's components below
    /// it. Compared component by component: `/datastores/10` does not hold `/datastores/100`.
    pub fn find(&self, path: &str) -> Result<(&str, Access, Vec<String>), Failure> {
        let components = normalized(path)?;
        let mut best: Option<(&str, Access, usize)> = None;
        for (folder, access) in &self.0 {
            let Ok(folder_components) = normalized(folder) else { continue };
            let length = folder_components.len();
            if components.starts_with(&folder_components) && best.is_none_or(|(.., longest)| length > longest) {
                best = Some((folder, *access, length));
            }
        }
        match best {
            Some((folder, access, length)) => Ok((folder, access, components[length..].to_vec())),
            None => Err(Failure::denied(format!(
                "{path}: not below a granted folder; `{} = \"…\"` under [paths] in the driver's policy would allow it",
                quoted(&parent(&components))
            ))),
        }
    }

    /// Whether `path` may be used this way.
    pub fn check(&self, path: &str, wanted: Access) -> Result<(), Failure> {
        self.lend(path, wanted)?;
        match wanted == Access::ReadWrite && self.find(path)?.2.is_empty() {
            true => Err(Failure::denied(format!(
                "{path}: a granted folder itself cannot be changed, only what is below it"
            ))),
            false => Ok(()),
        }
    }

    /// Whether others may be given `path`, to use it this way: a granted folder itself, too, which they cannot remove.
    pub fn lend(&self, path: &str, wanted: Access) -> Result<(), Failure> {
        let (folder, access, _) = self.find(path)?;
        if access < wanted {
            return Err(Failure::denied(format!(
                "{path}: {} is granted read-only; `{} = \"rw\"` under [paths] in the driver's policy would allow it",
                folder,
                quoted(folder)
            )));
        }
        Ok(())
    }
}

fn quoted(folder: &str) -> String {
    format!("\"{}\"", crate::text::one_line(folder).replace('"', "\\\""))
}

fn parent(components: &[String]) -> String {
    let above = &components[..components.len().saturating_sub(1)];
    format!("/{}", above.join("/"))
}

/// The components of an absolute path; repeated and trailing slashes and `.` do not count.
/// `..` is refused: what it means depends on links.
pub fn normalized(path: &str) -> Result<Vec<String>, Failure> {
    if !path.starts_with('/') {
        return Err(Failure::invalid(format!("{path:?}: expected an absolute path")));
    }
    if path.contains('\0') || path.len() > 4095 {
        return Err(Failure::invalid("a path has at most 4095 bytes and no NUL".to_owned()));
    }
    let mut components = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err(Failure::denied(format!("{path}: `..` is not allowed in a path"))),
            name => components.push(name.to_owned()),
        }
    }
    Ok(components)
}

/// The path that a name stands for where it is in a link or an image at `at`: a relative one begins in that folder.
pub fn beside(at: &str, name: &str) -> String {
    match name.starts_with('/') {
        true => name.to_owned(),
        false => format!("{}/{name}", at.trim_end_matches('/').rsplit_once('/').map_or("", |(folder, _)| folder)),
    }
}

//! Granted folders. This is the textual half: what a path says. The executor resolves links below the
//! granted folder's descriptor, and asks again for every absolute link it meets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
        self.find_for(path, Access::ReadOnly)
    }

    /// The same; the denial names the grant that `wanted` needs.
    fn find_for(&self, path: &str, wanted: Access) -> Result<(&str, Access, Vec<String>), Failure> {
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
            None => Err(ungranted(path, &components, wanted)),
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
        let (folder, access, _) = self.find_for(path, wanted)?;
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

/// A folder is what can be granted, so the line allows more than was asked for.
fn ungranted(path: &str, components: &[String], wanted: Access) -> Failure {
    let above = &components[..components.len().saturating_sub(1)];
    let path = crate::text::one_line(path);
    if above.is_empty() {
        return Failure::denied(format!("{path}: not below a granted folder, and the root folder cannot be granted"));
    }
    let folder = format!("/{}", above.join("/"));
    let (line, access) = (quoted(&folder), wanted.name());
    Failure::denied(format!(
        "{path}: not below a granted folder; `{line} = \"{access}\"` under [paths] in the driver's policy would allow it, \
         and the same for all else below {}",
        crate::text::one_line(&folder)
    ))
}

fn quoted(folder: &str) -> String {
    format!("\"{}\"", crate::text::one_line(folder).replace('"', "\\\""))
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

/// The path that a name stands for where it is in a link or an image at `at`: a relative one begins in the folder
/// which that is in, as the kernel and qemu's `path_combine` take it. `..` in either stays what it is.
pub fn beside(at: impl AsRef<Path>, name: impl AsRef<Path>) -> PathBuf {
    at.as_ref().parent().unwrap_or(Path::new("")).join(name)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use proptest::prelude::*;

    use super::*;

    /// qemu's `path_combine`, of paths that name no protocol.
    fn combined(base: &[u8], name: &[u8]) -> Vec<u8> {
        let folder = match name.first() {
            Some(b'/') => 0,
            _ => base.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1),
        };
        [&base[..folder], name].concat()
    }

    /// The path's steps, without what means nothing; `..` does.
    fn steps(path: &[u8]) -> Vec<&[u8]> {
        path.split(|byte| *byte == b'/').filter(|step| !matches!(*step, b"" | b".")).collect()
    }

    #[test]
    fn a_denial_names_the_grant_that_is_needed() {
        let grants = PathGrants([("/srv".to_owned(), Access::ReadOnly)].into());
        let denial = |path, wanted| grants.lend(path, wanted).map_err(|failure| failure.message).err();
        let says = |folder: &str, access: &str| {
            format!(
                "not below a granted folder; `\"{folder}\" = \"{access}\"` under [paths] in the driver's policy would \
                 allow it, and the same for all else below {folder}"
            )
        };
        assert_eq!(denial("/etc/shadow", Access::ReadOnly), Some(format!("/etc/shadow: {}", says("/etc", "ro"))));
        assert_eq!(denial("/var/a/b", Access::ReadWrite), Some(format!("/var/a/b: {}", says("/var/a", "rw"))));
        let root = "/x: not below a granted folder, and the root folder cannot be granted";
        assert_eq!(denial("/x", Access::ReadWrite).as_deref(), Some(root));
        assert_eq!(denial("/srv/x", Access::ReadOnly), None);
        // The line is one that a policy can have.
        let line = says("/etc", "ro");
        let line = line.split('`').nth(1).unwrap_or_default();
        assert!(toml::from_str::<PathGrants>(line).is_ok(), "{line}");
    }

    proptest! {
        // A file's name ends in a name: `image/` and `image/.` are none that it could be opened by.
        #[test]
        fn a_name_is_read_where_qemu_reads_it(
            base in "(/|//|/a/|/a/\\./|/a//b/|/\\.\\./|a/)?[a-z\\.]{0,3}x", name in "[a\\./]{0,8}"
        ) {
            let path = beside(&base, &name);
            let expected = combined(base.as_bytes(), name.as_bytes());
            prop_assert_eq!(steps(path.as_os_str().as_bytes()), steps(&expected));
            prop_assert_eq!(path.is_absolute(), expected.starts_with(b"/"));
        }

        #[test]
        fn a_link_is_read_in_its_folder_however_its_path_is_written(
            folder in proptest::collection::vec("[a-c]", 1..4), behind in "(/|\\./){0,3}\\.?", name in "[a-c](/[a-c])?"
        ) {
            let at = format!("/{}/link/{behind}", folder.join("//./"));
            prop_assert_eq!(
                normalized(&beside(&at, &name).to_string_lossy()),
                normalized(&format!("/{}/{name}", folder.join("/")))
            );
        }

        #[test]
        fn no_byte_of_a_name_is_lost(
            base in proptest::collection::vec(any::<u8>(), 0..9), name in proptest::collection::vec(any::<u8>(), 0..9)
        ) {
            let path = beside(OsStr::from_bytes(&base), OsStr::from_bytes(&name));
            prop_assert!(path.as_os_str().as_bytes().ends_with(&name));
        }
    }
}

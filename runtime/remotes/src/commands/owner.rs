//! Root at work in another's tree, or in one that another leads the way to.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Links on a way, as many as the kernel follows.
const LINKS: usize = 40;

/// What is about to be done with a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It is looked at, and is what it is.
    Look,
    /// It is there, and is changed.
    Change,
    /// It is made where it is missing. Then [`Intent::Change`] is to be asked for once it is there: somebody else may
    /// have been first.
    Make,
}

/// Has root become the owner of the tree, where that is another, and begin again. What is put into the tree is then
/// the owner's, what is seen in it is judged as the owner's actions would, and nothing that the owner has laid there,
/// a link say, leads root anywhere.
///
/// Whoever owns a link or a folder on the way to the tree is taken for its owner, the first one first: they can put
/// another tree in its place at any moment, so that nothing of what is seen here would count any more. A way that is
/// root's as a whole stays what it was seen to be, if nobody else may write on it; where others may, root changes nothing.
pub fn act_as_owner(tree: &Path, intent: Intent) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match way(tree)? {
        Way::Anothers { place, user, group } => Err(become_user(&place, user, group)),
        Way::Roots { open: Some(open), .. } if intent != Intent::Look => bail!(
            "{}: others may write there, who could lead root anywhere; expected folders that only root can write all the \
             way to the tree: `chmod go-w` it, or `chown` the tree's folder and this is done as its owner",
            open.display()
        ),
        Way::Roots { whole: false, .. } if intent == Intent::Change => {
            bail!("remotes tree {}: there is no such folder", tree.display())
        }
        Way::Roots { .. } => Ok(()),
    }
}

/// Begins again as this user. Returns why that cannot be.
fn become_user(place: &Path, user: u32, group: u32) -> anyhow::Error {
    // Root's group has rights of its own.
    let group = if group == 0 { user } else { group };
    let error = Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).uid(user).gid(group).exec();
    anyhow::Error::new(error).context(format!(
        "{}: it belongs to uid {user}, whose part cannot be taken; run this as that user: sudo -u '#{user}' …",
        place.display()
    ))
}

/// Whose all that is which a path leads through, links and where they lead included.
enum Way {
    /// The first that is not root's.
    Anothers { place: PathBuf, user: u32, group: u32 },
    Roots {
        /// a folder where others can put something else in the place of what comes next
        open: Option<PathBuf>,
        /// whether it leads to something
        whole: bool,
    },
}

fn way(tree: &Path) -> Result<Way> {
    let mut rest = std::path::absolute(tree).with_context(|| tree.display().to_string())?;
    let (mut at, mut links, mut open) = (PathBuf::new(), 0, None);
    loop {
        let mut components = rest.components();
        let Some(component) = components.next() else { return Ok(Way::Roots { open, whole: true }) };
        let behind = components.as_path().to_owned();
        match component {
            Component::CurDir => {}
            // No link is left in what was walked: it is the folder above.
            Component::ParentDir => drop(at.pop()),
            component => at.push(component),
        }
        let metadata = match fs::symlink_metadata(&at) {
            Ok(metadata) => metadata,
            // What is missing, or is no folder, is for the command to say.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Way::Roots { open, whole: false });
            }
            Err(error) => return Err(error).with_context(|| at.display().to_string()),
        };
        if metadata.uid() != 0 {
            return Ok(Way::Anothers { place: at, user: metadata.uid(), group: metadata.gid() });
        }
        rest = match metadata.is_symlink() {
            true if links == LINKS => bail!("{}: it leads through more than {LINKS} links", tree.display()),
            true => {
                links += 1;
                let target = fs::read_link(&at).with_context(|| at.display().to_string())?;
                at.pop();
                target.join(behind)
            }
            false => {
                if is_open(&metadata, behind.as_os_str().is_empty()) && open.is_none() {
                    open = Some(at.clone());
                }
                behind
            }
        };
    }
}

/// Whether others can replace what a folder of root's holds, or, in the tree's own, put something there. In a folder like
/// `/tmp` each entry is its owner's to replace.
fn is_open(folder: &Metadata, is_tree: bool) -> bool {
    let writable = folder.mode() & 0o002 != 0 || (folder.mode() & 0o020 != 0 && folder.gid() != 0);
    writable && (is_tree || folder.mode() & 0o1000 == 0)
}

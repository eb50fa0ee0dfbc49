//! Root at work in another's tree.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Has root become the owner of the folder, where that is another, and begin again. What is put into the tree is then
/// the owner's, what is seen in it is judged as the owner's actions would, and nothing that the owner has laid there,
/// a link say, leads root anywhere.
pub fn act_as_owner(tree: &Path) -> Result<()> {
    // One that is yet to be made will be root's.
    let Ok(metadata) = fs::metadata(tree) else { return Ok(()) };
    let (user, group) = (metadata.uid(), metadata.gid());
    if user == 0 || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    // Root's group has rights of its own.
    let group = if group == 0 { user } else { group };
    let error = Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).uid(user).gid(group).exec();
    Err(error).with_context(|| {
        format!(
            "{}: it belongs to uid {user}, whose part cannot be taken; run this as that user: sudo -u '#{user}' …",
            tree.display()
        )
    })
}

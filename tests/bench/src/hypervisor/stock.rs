//! The stock scripts, where `STOCK_REMOTES` names a remotes tree that has them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use remotes_integration::calls::arguments;

use super::host::Host;

/// A copy of the tree that uses the private daemon.
pub struct Stock {
    root: PathBuf,
}

impl Stock {
    /// None where the environment names none.
    pub fn of_environment(host: &Host) -> Result<Option<Self>> {
        let Some(from) = std::env::var_os("STOCK_REMOTES") else { return Ok(None) };
        let root = host.scene.path("stock");
        let status = Command::new("cp").args(["-rL", "--"]).arg(&from).arg(&root).status().context("cp")?;
        if !status.success() {
            bail!("STOCK_REMOTES={}: cannot be copied: {status}", from.display());
        }
        let kvmrc = root.join("etc/vmm/kvm/kvmrc");
        let mut text = std::fs::read_to_string(&kvmrc).context("STOCK_REMOTES: etc/vmm/kvm/kvmrc")?;
        text.push_str(&format!(
            "\nexport LIBVIRT_URI='{}'\nexport SYNC_TIME=no\nexport DEFAULT_ATTACH_NIC_MODEL=virtio\n",
            host.scene.libvirt.uri()
        ));
        std::fs::write(&kvmrc, text)?;
        Ok(Some(Self { root }))
    }

    /// The stock script of an action, called as ours is.
    pub fn action(&self, host: &Host, action: &str) -> Command {
        host.scene.called(self.root.join("vmm/kvm").join(action), arguments(action, &host.guest))
    }
}

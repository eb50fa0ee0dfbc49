//! Being written.

use remotes_effect::libvirt::{Bandwidth, BlockProgress, CopyTarget, Migration};
use remotes_effect::types::Failure;

use super::Session;

impl Session<'_> {
    pub(crate) fn unplug_device(&mut self, _domain: &str, _alias: &str, _seconds: u32) -> Result<bool, Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn migrate(&mut self, _domain: &str, _how: &Migration) -> Result<(), Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn abort_job(&mut self, _domain: &str) -> Result<(), Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn block_copy(
        &mut self,
        _domain: &str,
        _disk: &str,
        _target: &CopyTarget,
        _shallow: bool,
    ) -> Result<(), Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn block_job(&mut self, _domain: &str, _disk: &str) -> Result<Option<BlockProgress>, Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn end_block_job(&mut self, _domain: &str, _disk: &str, _pivot: bool) -> Result<(), Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn freeze(&mut self, _domain: &str, _mount_points: &[String]) -> Result<u32, Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn thaw(&mut self, _domain: &str, _mount_points: &[String]) -> Result<u32, Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn checkpoints(&mut self, _domain: &str) -> Result<Vec<String>, Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn checkpoint_xml(&mut self, _domain: &str, _checkpoint: &str) -> Result<String, Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn checkpoint_create(&mut self, _domain: &str, _xml: &str, _redefine: bool) -> Result<String, Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn checkpoint_delete(
        &mut self,
        _domain: &str,
        _checkpoint: &str,
        _metadata_only: bool,
    ) -> Result<(), Failure> {
        Err(Failure::unsupported("pending"))
    }

    pub(crate) fn set_bandwidth(
        &mut self,
        _domain: &str,
        _interface: &str,
        _inbound: Option<Bandwidth>,
        _outbound: Option<Bandwidth>,
    ) -> Result<(), Failure> {
        Err(Failure::unsupported("pending"))
    }
}

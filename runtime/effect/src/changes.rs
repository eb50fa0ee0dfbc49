//! Which effects change something outside the driver. The plan asks for it, the libvirt executor
//! decides by it whether a lost call may be sent again.

use crate::{Effect, clock, filesystem, image, libvirt, log, tools};

impl Effect {
    /// Whether carrying this out can change the outside. Written out in full, so that a new function
    /// of the contract does not compile before someone has decided.
    pub fn changes(&self) -> bool {
        match self {
            Self::Clock(clock::Effect::Now {} | clock::Effect::Sleep { .. }) => false,
            Self::Log(log::Effect::Write { .. }) | Self::Configuration(_) => false,
            Self::Filesystem(effect) => effect.changes(),
            Self::Image(image::Effect::Inspect { .. }) => false,
            Self::Image(image::Effect::Create { .. } | image::Effect::Convert { .. }) => true,
            Self::Libvirt(effect) => effect.changes(),
            Self::Tools(tools::Effect::Available { .. }) => false,
            Self::Tools(tools::Effect::Run { .. }) => true,
        }
    }
}

impl filesystem::Effect {
    /// Whether carrying this out can change the outside.
    pub fn changes(&self) -> bool {
        match self {
            Self::Stat { .. } | Self::Entries { .. } | Self::Read { .. } | Self::ReadLink { .. } => false,
            Self::Write { .. }
            | Self::MakeDirectory { .. }
            | Self::Rename { .. }
            | Self::Copy { .. }
            | Self::SetMode { .. }
            | Self::Remove { .. }
            | Self::Unpack { .. } => true,
        }
    }
}

impl libvirt::Effect {
    /// Whether carrying this out can change the outside.
    pub fn changes(&self) -> bool {
        match self {
            Self::Find { .. }
            | Self::Domains { .. }
            | Self::Xml { .. }
            | Self::SavedXml { .. }
            | Self::Metadata { .. }
            | Self::Snapshots { .. }
            | Self::SnapshotCurrent { .. }
            | Self::SnapshotXml { .. } => false,
            Self::Create { .. }
            | Self::Define { .. }
            | Self::Undefine { .. }
            | Self::Shutdown { .. }
            | Self::Destroy { .. }
            | Self::Reboot { .. }
            | Self::Reset { .. }
            | Self::Suspend { .. }
            | Self::Resume { .. }
            | Self::WakeUp { .. }
            | Self::SyncTime { .. }
            | Self::Save { .. }
            | Self::Restore { .. }
            | Self::AttachDevice { .. }
            | Self::DetachDevice { .. }
            | Self::UpdateDevice { .. }
            | Self::ResizeBlock { .. }
            | Self::SetVcpus { .. }
            | Self::SetMemory { .. }
            | Self::SetMetadata { .. }
            | Self::SnapshotCreate { .. }
            | Self::SnapshotRedefine { .. }
            | Self::SnapshotRevert { .. }
            | Self::SnapshotDelete { .. }
            | Self::GuestAgent { .. } => true,
        }
    }
}

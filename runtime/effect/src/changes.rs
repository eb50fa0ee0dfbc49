//! Which effects change something outside the driver. The plan asks for it, the libvirt executor
//! decides by it whether a lost call may be sent again.

use crate::{
    Effect, clock, filesystem, hooks, image, iptables, libvirt, links, locks, log, openvswitch, sriov, tools, tproxy,
    transfer,
};

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
            Self::Transfer(transfer::Effect::Copy { .. }) => true,
            Self::Libvirt(effect) => effect.changes(),
            Self::Tools(tools::Effect::Available { .. }) => false,
            Self::Tools(tools::Effect::Run { .. }) => true,
            Self::Hooks(hooks::Effect::Entries { .. }) => false,
            Self::Hooks(hooks::Effect::Run { .. }) => true,
            // A lock is gone with the action, and a plan must not wait for one.
            Self::Locks(locks::Effect::Acquire { .. } | locks::Effect::TryAcquire { .. }) => true,
            Self::Iptables(iptables::Effect::Chains { .. } | iptables::Effect::Sets { .. }) => false,
            Self::Iptables(
                iptables::Effect::Apply { .. }
                | iptables::Effect::AddMembers { .. }
                | iptables::Effect::RemoveMembers { .. },
            ) => true,
            Self::Links(effect) => effect.changes(),
            Self::Openvswitch(openvswitch::Effect::Bridges {} | openvswitch::Effect::Flows { .. }) => false,
            Self::Openvswitch(
                openvswitch::Effect::Apply { .. }
                | openvswitch::Effect::RemoveUnusedBridge { .. }
                | openvswitch::Effect::ReplaceFlows { .. }
                | openvswitch::Effect::ForgetFlows { .. }
                | openvswitch::Effect::LimitVlans { .. },
            ) => true,
            Self::Sriov(sriov::Effect::Find { .. }) => false,
            Self::Sriov(sriov::Effect::Configure { .. } | sriov::Effect::Offload { .. }) => true,
            Self::Tproxy(tproxy::Effect::Resolve { .. }) => false,
            Self::Tproxy(tproxy::Effect::Up { .. } | tproxy::Effect::Down { .. }) => true,
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
            | Self::Link { .. }
            | Self::Rename { .. }
            | Self::Copy { .. }
            | Self::SetMode { .. }
            | Self::Remove { .. }
            | Self::Unpack { .. } => true,
        }
    }
}

impl links::Effect {
    /// Whether carrying this out can change the outside.
    pub fn changes(&self) -> bool {
        match self {
            Self::Entries {} | Self::Find { .. } | Self::Addresses { .. } => false,
            Self::MakeBridge { .. }
            | Self::MakeVlan { .. }
            | Self::MakeVxlan { .. }
            | Self::Remove { .. }
            | Self::RemoveUnusedBridge { .. }
            | Self::SetMaster { .. }
            | Self::SetMtu { .. }
            | Self::FilterVlans { .. }
            | Self::AddVlans { .. }
            | Self::RemoveVlans { .. }
            | Self::AddRoute { .. }
            | Self::RemoveRoute { .. }
            | Self::AddProxy { .. }
            | Self::RemoveProxy { .. } => true,
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
            | Self::SnapshotXml { .. }
            | Self::BlockJob { .. }
            | Self::Checkpoints { .. }
            | Self::CheckpointXml { .. } => false,
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
            | Self::UnplugDevice { .. }
            | Self::UpdateDevice { .. }
            | Self::ResizeBlock { .. }
            | Self::SetVcpus { .. }
            | Self::SetMemory { .. }
            | Self::SetMetadata { .. }
            | Self::SnapshotCreate { .. }
            | Self::SnapshotRedefine { .. }
            | Self::SnapshotRevert { .. }
            | Self::SnapshotDelete { .. }
            | Self::GuestAgent { .. }
            | Self::Migrate { .. }
            | Self::AbortJob { .. }
            | Self::BlockCopy { .. }
            | Self::EndBlockJob { .. }
            | Self::Freeze { .. }
            | Self::Thaw { .. }
            | Self::CheckpointCreate { .. }
            | Self::CheckpointDelete { .. }
            | Self::SetBandwidth { .. } => true,
        }
    }
}

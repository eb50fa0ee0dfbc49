//! The functions of the contract, one call of libvirt each.

use remotes_effect::libvirt::{
    Bandwidth, BlockProgress, CopyTarget, Domain as Description, Executor, Migration, Scope, State,
};
use remotes_effect::policy::{Access, domain_name};
use remotes_effect::types::{Failure, Node};
use virt::domain::Domain;
use virt::domain_snapshot::DomainSnapshot;
use virt::error::{Error, ErrorNumber};
use virt::sys;

use crate::arguments::{bounded, c_string, c_strings, document, plain, shown};
use crate::domains::{describe, identify};
use crate::fault::{Change, Fault};
use crate::history::check_owner;
use crate::session::{Session, View};
use crate::{blocks, checkpoints, interfaces, raw, snapshots};

type Done = Result<(), Failure>;

impl Session {
    /// A call that changes a domain.
    fn change<T>(&mut self, on: &Node, domain: &str, call: impl Fn(&Domain) -> Result<T, Error>) -> Done {
        self.with(on, domain, |_, domain| call(domain).changing().map(drop))
    }

    /// Work on a domain.
    pub(crate) fn with<T>(
        &mut self,
        on: &Node,
        domain: &str,
        work: impl Fn(&View<'_>, &Domain) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        self.attempt(on, &format!("domain {}", shown(domain)), |view| work(view, &view.domain(domain)?))
    }
}

impl Executor for Session {
    fn create(&mut self, on: &Node, xml: &str, paused: bool) -> Result<Description, Failure> {
        let name = domain_name(document(xml)?)?;
        let flags = if paused { sys::VIR_DOMAIN_START_PAUSED } else { sys::VIR_DOMAIN_NONE };
        self.attempt(on, &format!("domain {}", shown(&name)), |view| {
            // Also shows a lost connection while nothing has been sent that changes something.
            match view.domain(&name) {
                Ok(domain) if domain.is_active()? => return Err(Failure::exists("is active already").into()),
                Err(Fault::Asking(error)) if error.code != ErrorNumber::NoDomain => return Err(error.into()),
                Err(Fault::Refused(failure)) => return Err(failure.into()),
                _ => {}
            }
            let domain = Domain::create_xml(view.connection, xml, flags).changing()?;
            let made = identify(&domain).changing()?;
            view.grant.check_domain(&made.name).inspect_err(|_| drop(domain.destroy()))?;
            // The guest may be gone by now: it was created nevertheless.
            let state = if paused { State::Paused } else { State::Running };
            Ok(describe(&domain).unwrap_or(Description { state, ..made }))
        })
    }

    fn define(&mut self, on: &Node, xml: &str) -> Result<Description, Failure> {
        let name = domain_name(document(xml)?)?;
        self.attempt(on, &format!("domain {}", shown(&name)), |view| {
            view.grant.check_domain(&name)?;
            // Shows a lost connection while nothing has been sent that changes something.
            view.connection.get_lib_version()?;
            let domain = Domain::define_xml(view.connection, xml).changing()?;
            let made = identify(&domain).changing()?;
            view.grant.check_domain(&made.name).inspect_err(|_| drop(domain.undefine()))?;
            Ok(describe(&domain).unwrap_or(Description { state: State::ShutOff, persistent: true, ..made }))
        })
    }

    fn undefine(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, |it| match it.undefine_flags(sys::VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) {
            // Hypervisors without NVRAM do not know the flag. Without it none is deleted either.
            Err(error) if error.code() == ErrorNumber::InvalidArg => it.undefine(),
            result => result,
        })
    }

    fn find(&mut self, on: &Node, domain: &str) -> Result<Description, Failure> {
        self.with(on, domain, |_, it| Ok(describe(it)?))
    }

    fn domains(&mut self, on: &Node) -> Result<Vec<Description>, Failure> {
        self.attempt(on, "active domains", |view| view.domains())
    }

    fn xml(&mut self, on: &Node, domain: &str) -> Result<String, Failure> {
        self.with(on, domain, |_, it| Ok(bounded(it.get_xml_desc(0)?)?))
    }

    fn shutdown(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, Domain::shutdown)
    }

    fn destroy(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, Domain::destroy)
    }

    fn reboot(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, |it| it.reboot(sys::VIR_DOMAIN_REBOOT_DEFAULT))
    }

    fn reset(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, Domain::reset)
    }

    fn suspend(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, Domain::suspend)
    }

    fn resume(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, Domain::resume)
    }

    fn wake_up(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, |it| it.pm_wakeup(0))
    }

    fn sync_time(&mut self, on: &Node, domain: &str) -> Done {
        self.change(on, domain, |it| it.set_time(0, 0, sys::VIR_DOMAIN_TIME_SYNC))
    }

    fn save(&mut self, on: &Node, domain: &str, path: &str) -> Done {
        self.with(on, domain, |view, it| {
            raw::save(it, &c_string("the path", &view.image(path, Access::ReadWrite)?)?).changing()
        })
    }

    fn saved_xml(&mut self, on: &Node, path: &str) -> Result<String, Failure> {
        self.attempt(on, &shown(path), |view| view.saved_xml(&view.image(path, Access::ReadOnly)?))
    }

    fn restore(&mut self, on: &Node, path: &str, xml: Option<&str>) -> Done {
        let name = xml.map(|xml| domain_name(document(xml)?)).transpose()?;
        self.attempt(on, &shown(path), |view| {
            name.as_deref().map_or(Ok(()), |name| view.grant.check_domain(name))?;
            let path = view.image(path, Access::ReadOnly)?;
            let own = match xml {
                // Whose memory it is, only the image says.
                Some(_) => view.saved_xml(&path).map(|_| None)?,
                // What was checked is what starts, whatever becomes of the file.
                None => Some(view.startable_xml(&path)?),
            };
            Domain::domain_restore_flags(view.connection, &path, xml.or(own.as_deref()), 0).changing()
        })
    }

    fn attach_device(&mut self, on: &Node, domain: &str, xml: &str, scope: Scope) -> Done {
        let xml = document(xml)?;
        self.change(on, domain, |it| it.attach_device_flags(xml, impact(scope)))
    }

    fn detach_device(&mut self, on: &Node, domain: &str, xml: &str, scope: Scope) -> Done {
        let xml = document(xml)?;
        self.change(on, domain, |it| it.detach_device_flags(xml, impact(scope)))
    }

    fn update_device(&mut self, on: &Node, domain: &str, xml: &str, scope: Scope, force: bool) -> Done {
        let xml = document(xml)?;
        let force = if force { sys::VIR_DOMAIN_DEVICE_MODIFY_FORCE } else { 0 };
        self.change(on, domain, |it| it.update_device_flags(xml, impact(scope) | force))
    }

    fn resize_block(&mut self, on: &Node, domain: &str, device: &str, bytes: u64) -> Done {
        let device = plain("the device", device)?;
        self.change(on, domain, |it| it.block_resize(device, bytes, sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES))
    }

    fn set_vcpus(&mut self, on: &Node, domain: &str, count: u32, scope: Scope, hotpluggable: bool) -> Done {
        let hotpluggable = if hotpluggable { sys::VIR_DOMAIN_VCPU_HOTPLUGGABLE } else { 0 };
        self.change(on, domain, |it| it.set_vcpus_flags(count, impact(scope) | hotpluggable))
    }

    fn set_memory(&mut self, on: &Node, domain: &str, kib: u64, scope: Scope) -> Done {
        self.change(on, domain, |it| it.set_memory_flags(kib, impact(scope)))
    }

    fn metadata(&mut self, on: &Node, domain: &str, uri: &str) -> Result<String, Failure> {
        let uri = plain("the metadata's URI", uri)?;
        self.with(on, domain, |_, it| {
            Ok(bounded(it.get_metadata(sys::VIR_DOMAIN_METADATA_ELEMENT as i32, Some(uri), 0)?)?)
        })
    }

    fn set_metadata(&mut self, on: &Node, domain: &str, uri: &str, key: &str, xml: &str, scope: Scope) -> Done {
        let (uri, key, xml) = (plain("the metadata's URI", uri)?, plain("the metadata's key", key)?, document(xml)?);
        self.change(on, domain, |it| {
            let kind = sys::VIR_DOMAIN_METADATA_ELEMENT as i32;
            it.set_metadata(kind, Some(xml), Some(key), Some(uri), impact(scope))
        })
    }

    fn snapshots(&mut self, on: &Node, domain: &str) -> Result<Vec<String>, Failure> {
        self.with(on, domain, |_, it| snapshots::names(it))
    }

    fn snapshot_current(&mut self, on: &Node, domain: &str) -> Result<Option<String>, Failure> {
        self.with(on, domain, |_, it| snapshots::current(it))
    }

    fn snapshot_xml(&mut self, on: &Node, domain: &str, snapshot: &str) -> Result<String, Failure> {
        self.with(on, domain, |_, it| Ok(bounded(snapshots::find(it, snapshot)?.get_xml_desc(0)?)?))
    }

    fn snapshot_create(&mut self, on: &Node, domain: &str, xml: &str) -> Result<String, Failure> {
        let xml = document(xml)?;
        self.with(on, domain, |_, it| {
            check_owner("snapshot", xml, &it.get_name()?)?;
            DomainSnapshot::create_xml(it, xml, 0).changing()?.get_name().changing()
        })
    }

    fn snapshot_redefine(&mut self, on: &Node, domain: &str, xml: &str, current: bool) -> Done {
        let xml = document(xml)?;
        let current = if current { sys::VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT } else { 0 };
        self.with(on, domain, |_, it| {
            check_owner("snapshot", xml, &it.get_name()?)?;
            let flags = sys::VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | current;
            DomainSnapshot::create_xml(it, xml, flags).changing().map(drop)
        })
    }

    fn snapshot_revert(&mut self, on: &Node, domain: &str, snapshot: &str, force: bool) -> Done {
        let flags = if force { sys::VIR_DOMAIN_SNAPSHOT_REVERT_FORCE } else { 0 };
        self.with(on, domain, |_, it| snapshots::find(it, snapshot)?.revert(flags).changing())
    }

    fn snapshot_delete(&mut self, on: &Node, domain: &str, snapshot: &str, metadata_only: bool) -> Done {
        let flags = if metadata_only { sys::VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY } else { 0 };
        self.with(on, domain, |_, it| snapshots::find(it, snapshot)?.delete(flags).changing())
    }

    fn guest_agent(&mut self, on: &Node, domain: &str, command: &str, seconds: u32) -> Result<String, Failure> {
        let command = plain("the command", command)?;
        self.with(on, domain, |view, it| {
            // Not 0, which would mean not to wait at all; and no longer than the action may take.
            let left = u32::try_from(view.deadline.left().as_secs()).unwrap_or(u32::MAX);
            let seconds = i32::try_from(seconds.min(left).max(1)).unwrap_or(i32::MAX);
            Ok(bounded(it.qemu_agent_command(command, seconds, 0).changing()?)?)
        })
    }

    fn unplug_device(&mut self, on: &Node, domain: &str, alias: &str, seconds: u32) -> Result<bool, Failure> {
        self.with(on, domain, |view, it| view.unplug(it, alias, seconds))
    }

    fn migrate(&mut self, on: &Node, domain: &str, how: &Migration) -> Done {
        self.with(on, domain, |view, it| view.migrate(it, how))
    }

    fn abort_job(&mut self, on: &Node, domain: &str) -> Done {
        self.with(on, domain, |_, it| match raw::abort_job(it) {
            // It says so too where a job cannot be aborted.
            Err(error) if error.code() == ErrorNumber::OperationInvalid => match it.get_job_info()?.r#type {
                0 => Ok(()),
                _ => Err(error).changing(),
            },
            result => result.changing(),
        })
    }

    fn block_copy(&mut self, on: &Node, domain: &str, disk: &str, target: &CopyTarget, shallow: bool) -> Done {
        self.with(on, domain, |view, it| view.block_copy(it, disk, target, shallow))
    }

    fn block_job(&mut self, on: &Node, domain: &str, disk: &str) -> Result<Option<BlockProgress>, Failure> {
        self.with(on, domain, |_, it| blocks::job(it, disk))
    }

    fn end_block_job(&mut self, on: &Node, domain: &str, disk: &str, pivot: bool) -> Done {
        self.with(on, domain, |_, it| blocks::end(it, disk, pivot))
    }

    fn freeze(&mut self, on: &Node, domain: &str, mount_points: &[String]) -> Result<u32, Failure> {
        let mount_points = c_strings("a mount point", mount_points)?;
        self.with(on, domain, |_, it| raw::freeze(it, &mount_points).changing())
    }

    fn thaw(&mut self, on: &Node, domain: &str, mount_points: &[String]) -> Result<u32, Failure> {
        let mount_points = c_strings("a mount point", mount_points)?;
        self.with(on, domain, |_, it| raw::thaw(it, &mount_points).changing())
    }

    fn checkpoints(&mut self, on: &Node, domain: &str) -> Result<Vec<String>, Failure> {
        self.with(on, domain, |_, it| checkpoints::names(it))
    }

    fn checkpoint_xml(&mut self, on: &Node, domain: &str, checkpoint: &str) -> Result<String, Failure> {
        self.with(on, domain, |_, it| checkpoints::xml(it, checkpoint))
    }

    fn checkpoint_create(&mut self, on: &Node, domain: &str, xml: &str, redefine: bool) -> Result<String, Failure> {
        let xml = document(xml)?;
        self.with(on, domain, |_, it| checkpoints::create(it, xml, redefine))
    }

    fn checkpoint_delete(&mut self, on: &Node, domain: &str, checkpoint: &str, metadata_only: bool) -> Done {
        self.with(on, domain, |_, it| checkpoints::delete(it, checkpoint, metadata_only))
    }

    fn set_bandwidth(
        &mut self,
        on: &Node,
        domain: &str,
        interface: &str,
        inbound: Option<Bandwidth>,
        outbound: Option<Bandwidth>,
    ) -> Done {
        self.with(on, domain, |_, it| interfaces::limit(it, interface, inbound, outbound))
    }
}

/// virDomainModificationImpact, whose values the other families of flags share.
fn impact(scope: Scope) -> u32 {
    match scope {
        Scope::Live => sys::VIR_DOMAIN_AFFECT_LIVE,
        Scope::Config => sys::VIR_DOMAIN_AFFECT_CONFIG,
        Scope::Both => sys::VIR_DOMAIN_AFFECT_LIVE | sys::VIR_DOMAIN_AFFECT_CONFIG,
    }
}

//! A hypervisor driver that succeeds at everything and changes nothing, for trying a cloud out.
//! It is also the smallest complete driver there is: copy it to start one.

use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, VMM_ACTIONS, Vmm};

/// The driver.
pub struct Dummy;

/// Actions whose only answer is that they are done.
macro_rules! succeed {
    ($($action:ident($($parameter:ty),*),)*) => {
        $(fn $action($(_: $parameter),*) -> Result<(), Failure> { Ok(()) })*
    };
}

impl Vmm for Dummy {
    const ACTIONS: &'static [&'static str] = VMM_ACTIONS;

    /// `HOST:NAME:dummy`, from the description that oned writes for the types `xml` and `kvm`.
    fn deploy(_file: String, description: String, host: String) -> Result<String, Failure> {
        let vm = Document::parse(&description)?;
        let name = vm.text("NAME").or_else(|| vm.text("title")).or_else(|| vm.text("name")).unwrap_or("vm");
        // oned reads the first word.
        Ok(format!("{host}:{}:dummy", name.split_whitespace().collect::<Vec<_>>().join("_")))
    }

    fn snapshot_create(_: String, id: u32, _: String) -> Result<String, Failure> {
        Ok(format!("snap-{id}"))
    }

    succeed! {
        shutdown(String, String, String),
        cancel(String, String, String),
        reboot(String, String, String),
        reset(String, String, String),
        save(String, String, String, u32, String),
        restore(String, String, String, u32, String),
        migrate(String, String, String, u32, String),
        migrate_local(String, String, String, u32, String),
        attach_disk(String, String, String, u32, String),
        detach_disk(String, String, String, u32, String),
        attach_nic(String, String, String, String, String, String, String),
        detach_nic(String, String, String),
        prereconfigure(String, String, String),
        reconfigure(String, String, String, String),
        snapshot_revert(String, String, String),
        snapshot_delete(String, String, String),
        resize(String, String),
        resize_disk(String, u32, u64, String),
        exec(u32, String, String, Vec<u8>),
        exec_cancel(u32, String),
    }
}

remotes_sdk::export_vmm!(Dummy);

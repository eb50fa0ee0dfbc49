//! Grows a disk of the running machine.

use remotes_sdk::vm::Action;
use remotes_sdk::wait::retry_when;
use remotes_sdk::{Explain, Failure, here, libvirt};

use crate::domain::busy;

pub fn run(id: &str, disk_id: u32, mib: u64, action: &str) -> Result<(), Failure> {
    let failed = || format!("Failed to resize disk {disk_id} on {id}");
    let prepared = || {
        let action = Action::parse(action)?;
        let number = disk_id.to_string();
        let disk = action.devices("DISK").into_iter().find(|disk| disk.text("DISK_ID") == Some(&number));
        let target = disk.and_then(|disk| disk.text("TARGET"));
        let target =
            target.ok_or_else(|| Failure::not_found(format!("disk {disk_id} has no TARGET in the template")))?;
        let bytes = mib.checked_mul(1024 * 1024);
        Ok((target.to_owned(), bytes.ok_or_else(|| Failure::invalid(format!("{mib} MiB is too much")))?))
    };
    let (target, bytes) = prepared().explain(failed)?;
    let held = |failure: &Failure| busy(failure) || failure.message.contains("is in use");
    retry_when(3, 5, held, || libvirt::resize_block(&here(), id, &target, bytes)).explain(failed)
}

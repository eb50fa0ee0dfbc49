//! Taking a device from a running guest, which may take its time or refuse.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::wait::until;
use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, FailureKind, error, here};

use crate::domain::passing;

/// Seconds until the guest must have let go: a PCI hot-plug controller alone blinks for five.
const LET_GO: u32 = 10;
/// Seconds more where libvirt has failed: the guest may have been asked all the same.
const ASKED: u64 = 5;

/// Unplugs the device that `find` finds in the domain's live description, by the name that libvirt has for
/// it, and sees it gone. Returns false where there is none.
pub fn unplug(id: &str, find: impl Fn() -> Result<Option<String>, Failure>) -> Result<bool, Failure> {
    let Some(xml) = find()? else { return Ok(false) };
    let gone = || Ok(find()?.is_none());
    let asked = match alias(&xml)? {
        Some(alias) => libvirt::unplug_device(&here(), id, &alias, LET_GO),
        None => libvirt::detach_device(&here(), id, &xml, Scope::Live).and_then(|()| until(LET_GO.into(), |_| gone())),
    };
    match asked {
        Ok(true) => Ok(true),
        Ok(false) if gone()? => Ok(true),
        Ok(false) => Err(Failure::busy("the guest does not let the device go")),
        // It was asked before, and is at it; or the answer was lost. What became of it shows.
        Err(failure) if passing(&failure) && failure.kind != FailureKind::Timeout => {
            error!("{}", failure.message);
            match until(ASKED, |_| gone())? {
                true => Ok(true),
                false => Err(failure),
            }
        }
        Err(failure) if failure.kind == FailureKind::NotFound && gone()? => Ok(true),
        Err(failure) => Err(failure),
    }
}

fn alias(xml: &str) -> Result<Option<String>, Failure> {
    let document = Document::parse(xml)?;
    Ok(document.first("alias").and_then(|alias| alias.attribute("name")).map(str::to_owned))
}

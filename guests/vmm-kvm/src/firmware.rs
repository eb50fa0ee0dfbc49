//! UEFI variables: a copy of the operator's template for each virtual machine.

use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, FailureKind, at, filesystem, image, parent, settings, warning};

const TEMPLATE: &str = "/usr/share/OVMF/OVMF_VARS.fd";

/// Makes the variables' file that the description names, in the format that it names. One that is
/// there is the guest's and stays as it is; its content is not looked at either: a guest can write
/// there what looks like an image of another format.
pub fn prepare(domain: &Document<'_>) -> Result<(), Failure> {
    let Some(nvram) = domain.first("os/nvram") else { return Ok(()) };
    let Some(path) = nvram.value().map(str::trim).filter(|path| !path.is_empty()) else { return Ok(()) };
    match filesystem::stat(&at(path)) {
        Ok(_) => return Ok(()),
        Err(failure) if failure.kind == FailureKind::NotFound => {}
        Err(failure) => return Err(failure),
    }
    let template = settings::text_or("OVMF_NVRAM", TEMPLATE)?;
    let format = match image::inspect(&at(&template)) {
        Ok(info) => info.format,
        Err(failure) if failure.kind == FailureKind::NotFound => {
            // libvirt may know another template for this firmware.
            warning!("OVMF_NVRAM: {}; the firmware variables are left to libvirt", failure.message);
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    filesystem::make_directory(&at(parent(path)), 0o755)?;
    let wanted = nvram.attribute("format").filter(|format| !format.is_empty()).unwrap_or("raw");
    match format == wanted {
        true => filesystem::copy(&at(&template), &at(path)),
        false => image::convert(&at(&template), &format, &at(path), wanted),
    }
}

//! The state of an emulated TPM. libvirt keeps it per host and drops it with a transient domain, so it
//! is kept in the virtual machine's folder between its lives; the tool `vtpm_setup` carries it over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::xml::{Document, readable};
use remotes_sdk::{Explain, Failure, FailureKind, at, clean, here, tools, warning};

use crate::domain::Facts;
use crate::tool;

const TOOL: &str = "vtpm_setup";

/// What the tool keeps in `tpm/`.
const STATE: &str = "tpm2-00.permall";

/// Before a start: hands the kept state to libvirt. Without it the guest would find an empty TPM, and
/// the next shutdown would keep that one in place of the good one: hence a failure.
pub fn recover(facts: &Facts, directory: &str) -> Result<(), Failure> {
    if !facts.emulated_tpm {
        return Ok(());
    }
    let apart = format!("{directory}/.tpm-state");
    if !is_kept(directory)? {
        unpack(directory, &apart).or_warn("TPM_STATE of the virtual machine's template is not used");
    }
    // Also what an interrupted deploy has left.
    filesystem::remove(&at(&apart), true)?;
    if !is_kept(directory)? || !is_available(directory)? {
        return Ok(());
    }
    // What only root can look into is the tool's to tell of.
    if holds_state(directory) == Ok(false) {
        return Err(Failure::failed(format!(
            "{directory}/tpm has no {STATE}, or an empty one: put it there from a backup or, if the machine is to start \
             with an empty TPM, remove the folder"
        )));
    }
    carry("recover", facts, directory)
}

/// Before a stop: keeps the state that libvirt is about to drop.
pub fn backup(facts: &Facts) {
    if facts.emulated_tpm {
        match &facts.directory {
            Some(directory) => keep(facts, directory).or_warn("the TPM's state is not kept").unwrap_or_default(),
            None => {
                warning!("the TPM's state is not kept: the domain's metadata do not tell the virtual machine's folder")
            }
        }
    }
}

fn keep(facts: &Facts, directory: &str) -> Result<(), Failure> {
    if !is_available(directory)? {
        return Ok(());
    }
    carry("backup", facts, directory)?;
    match holds_state(directory)? {
        true => Ok(()),
        false => Err(Failure::failed(format!("vtpm_setup backup left no {STATE} in {directory}/tpm"))),
    }
}

fn is_available(directory: &str) -> Result<bool, Failure> {
    let available = tools::available(&here(), TOOL)?;
    if !available {
        warning!("{TOOL} is not available: the TPM's state in {directory}/tpm is left alone");
    }
    Ok(available)
}

/// The tool goes on after what failed, and its status is that of the last thing it does: what it says counts.
fn carry(verb: &str, facts: &Facts, directory: &str) -> Result<(), Failure> {
    let Some(uuid) = &facts.uuid else {
        return Err(Failure::invalid("the domain's description has no <uuid>, by which its TPM's state is found"));
    };
    match tool::ends_without_complaint(TOOL, &[verb.to_owned(), uuid.clone(), clean(directory)])? {
        true => Ok(()),
        false => Err(Failure::failed(format!("{TOOL} {verb} failed for {directory}/tpm"))),
    }
}

/// Whether the kept state is there, and not empty.
fn holds_state(directory: &str) -> Result<bool, Failure> {
    match filesystem::stat(&at(format!("{directory}/tpm/{STATE}"))) {
        Ok(metadata) => Ok(metadata.kind == Kind::File && metadata.size > 0),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}

fn is_kept(directory: &str) -> Result<bool, Failure> {
    match filesystem::stat(&at(format!("{directory}/tpm"))) {
        Ok(metadata) => Ok(metadata.kind == Kind::Directory),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// After the restore of a backup the state is in the template, where users can write: an archive of
/// `tpm/`. It is unpacked apart, so that nothing else in the folder can be overwritten by it, and so
/// that a half-unpacked one is never taken for the state.
fn unpack(directory: &str, apart: &str) -> Result<(), Failure> {
    let content = filesystem::read(&at(format!("{directory}/vm.xml")))?;
    let text = String::from_utf8_lossy(&content);
    let text = readable(&text);
    let document = Document::parse(&text)?;
    let Some(state) = document.text("USER_TEMPLATE/TPM_STATE") else { return Ok(()) };
    let archive: String = state.split_whitespace().collect();
    let archive = STANDARD.decode(archive).map_err(|error| Failure::invalid(format!("TPM_STATE: {error}")))?;
    filesystem::remove(&at(apart), true)?;
    filesystem::make_directory(&at(apart), 0o700)?;
    filesystem::unpack(&at(apart), &archive)?;
    filesystem::rename(&at(format!("{apart}/tpm")), &at(format!("{directory}/tpm")))
}

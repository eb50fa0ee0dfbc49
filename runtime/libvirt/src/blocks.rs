//! Copying a disk while the guest uses it.

use std::ffi::CString;
use std::fmt::Write;

use remotes_effect::libvirt::{BlockProgress, CopyTarget};
use remotes_effect::policy::Access;
use remotes_effect::types::Failure;
use roxmltree::Document;
use virt::domain::Domain;
use virt::sys;

use crate::arguments::{bounded, c_string, plain, shown};
use crate::fault::{Change, Fault};
use crate::image::Kind;
use crate::raw;
use crate::session::View;

impl View<'_> {
    /// Begins to copy a disk to what is there already.
    pub fn block_copy(&self, domain: &Domain, disk: &str, target: &CopyTarget, shallow: bool) -> Result<(), Fault> {
        let disk = target_name(disk)?;
        plain("the format", &target.format)?;
        let kind = if target.block { Kind::Block } else { Kind::File };
        let path = self.existing(&target.path, kind, Access::ReadWrite)?;
        let xml = c_string("the target", &target_xml(&path, target)?)?;
        let shallow = if shallow { sys::VIR_DOMAIN_BLOCK_COPY_SHALLOW } else { 0 };
        raw::block_copy(domain, &disk, &xml, sys::VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | shallow).changing()
    }
}

/// What the job on a disk has come to, if one runs.
pub(crate) fn job(domain: &Domain, disk: &str) -> Result<Option<BlockProgress>, Fault> {
    let Some((done, total)) = raw::block_job(domain, &target_name(disk)?)? else { return Ok(None) };
    // The figures alone do not tell: they are equal now and then before the copy has caught up.
    let ready = is_ready(&bounded(domain.get_xml_desc(0)?)?, disk)?;
    Ok(Some(BlockProgress { done, total, ready }))
}

/// Ends the job on a disk.
pub(crate) fn end(domain: &Domain, disk: &str, pivot: bool) -> Result<(), Fault> {
    let pivot = if pivot { sys::VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT } else { 0 };
    raw::end_block_job(domain, &target_name(disk)?, pivot).changing()
}

/// A disk by its target. libvirt would take a path as well, which nobody has granted.
fn target_name(disk: &str) -> Result<CString, Failure> {
    match disk.is_empty() || disk.contains('/') {
        true => Err(Failure::invalid(format!("disk {:?}: expected a target such as vda", shown(disk)))),
        false => c_string("the disk", disk),
    }
}

fn target_xml(path: &str, target: &CopyTarget) -> Result<String, Failure> {
    let (kind, attribute) = if target.block { ("block", "dev") } else { ("file", "file") };
    Ok(format!(
        "<disk type='{kind}'><source {attribute}='{}'/><driver name='qemu' type='{}'/></disk>",
        escaped(path)?,
        escaped(&target.format)?
    ))
}

/// The text of an attribute.
fn escaped(text: &str) -> Result<String, Failure> {
    let mut result = String::new();
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '\'' | '"' | '\t' | '\n' | '\r' => {
                // Writing to a string does not fail.
                let _ = write!(result, "&#{};", u32::from(character));
            }
            // XML has no way to write these.
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => {
                return Err(Failure::invalid(format!("{}: has a character that XML cannot hold", shown(text))));
            }
            other => result.push(other),
        }
    }
    Ok(result)
}

/// Whether the copy of this disk has caught up, by the domain's description.
fn is_ready(xml: &str, disk: &str) -> Result<bool, Failure> {
    let document = Document::parse(xml)
        .map_err(|error| Failure::failed(format!("libvirt's description of the domain cannot be parsed: {error}")))?;
    let child = |node: roxmltree::Node<'_, '_>, name: &str, attribute: &str, value: &str| {
        node.children().any(|child| child.has_tag_name(name) && child.attribute(attribute) == Some(value))
    };
    let mut disks = document.descendants().filter(|node| node.has_tag_name("disk"));
    Ok(disks.any(|node| child(node, "target", "dev", disk) && child(node, "mirror", "ready", "yes")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use remotes_effect::types::FailureKind;

    #[test]
    fn ready_is_what_the_mirror_of_that_disk_says() {
        let disk = |target: &str, mirror: &str| format!("<disk><target dev='{target}'/>{mirror}</disk>");
        let of = |disks: &str| is_ready(&format!("<domain><devices>{disks}</devices></domain>"), "vda").unwrap();
        assert!(of(&disk("vda", "<mirror ready='yes'/>")));
        for not in ["", "<mirror/>", "<mirror ready='abort'/>", "<mirror ready='pivot'/>"] {
            assert!(!of(&disk("vda", not)), "{not}");
            assert!(!of(&(disk("vda", not) + &disk("vdb", "<mirror ready='yes'/>"))), "{not}");
        }
    }

    #[test]
    fn disks_are_named_by_target() {
        for disk in ["", "/etc/shadow", "x/y", "vd\0a"] {
            assert_eq!(target_name(disk).unwrap_err().kind, FailureKind::Invalid, "{disk:?}");
        }
    }

    proptest! {
        /// Whatever a path holds, the document says that path and nothing else.
        #[test]
        fn a_path_stays_in_its_attribute(path in any::<String>(), block in any::<bool>()) {
            let target = CopyTarget { path: path.clone(), format: "raw".to_owned(), block };
            let Ok(xml) = target_xml(&path, &target) else { return Ok(()) };
            let document = Document::parse(&xml).unwrap();
            let source = document.root_element().first_element_child().unwrap();
            prop_assert_eq!(source.attribute(if block { "dev" } else { "file" }), Some(path.as_str()));
            prop_assert_eq!(document.root_element().children().count(), 2);
        }
    }
}

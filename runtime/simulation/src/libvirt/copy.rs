//! Block jobs: copies of disks. How far one has come is counted in looks at it.

use remotes_effect::libvirt::{BlockProgress, CopyTarget};
use remotes_effect::policy::Access;
use remotes_effect::types::Failure;
use roxmltree::Node;
use serde::{Deserialize, Serialize};

use super::error::{block_copy_active, internal, invalid_arg, operation_invalid, operation_unsupported, system};
use super::parts::{Disk, devices, disk, disks};
use super::{Domain, Session};
use crate::files::{Entry, File, Image, Last};
use crate::xml::edit::{Edit, replace, set_attribute};
use crate::xml::{child, parse};

/// A copy of a disk under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskCopy {
    /// where to
    pub target: CopyTarget,
    /// Whether what lies in the backing file is left out.
    pub shallow: bool,
    /// How often somebody has looked.
    pub looks: u32,
}

/// How copies of disks go on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copying {
    /// they have caught up after so many looks
    CatchesUp(u32),
    /// they never do
    FallsBehind,
    /// they end by themselves after so many looks: the storage is full, say
    Breaks(u32),
    /// they catch up at once, and a pivot that was answered well has not happened
    TurnsBack,
}

impl Default for Copying {
    fn default() -> Self {
        Self::CatchesUp(3)
    }
}

impl Session<'_> {
    pub fn block_copy(
        &mut self,
        reference: &str,
        name: &str,
        target: &CopyTarget,
        shallow: bool,
    ) -> Result<(), Failure> {
        let domain = self.active(reference)?;
        if domain.config.is_some() {
            return Err(operation_invalid("domain is not transient"));
        }
        let disk = named(domain, name)?;
        if domain.copies.contains_key(name) {
            return Err(operation_unsupported(format!("disk '{name}' already in active block job")));
        }
        let Some(source) = disk.source else {
            return Err(invalid_arg(format!("disk '{name}' has no source file to be copied")));
        };
        let size = self.header(&source).virtual_size;
        let there = self.file_to_write(&target.path, name)?;
        if self.files.place(None, &source, Last::Follow).is_ok_and(|place| place.names == there) {
            return Err(qemu("blockdev-add", "Failed to get \"write\" lock"));
        }
        let room = match self.files.at(&there) {
            Some(Entry::File(file)) if target.format == "raw" => file.size,
            Some(Entry::File(file)) => file.header().virtual_size,
            Some(Entry::BlockDevice(size)) => *size,
            _ => return Err(internal(format!("{}: is no file that a disk can be copied to", target.path))),
        };
        if room < size {
            return Err(qemu("blockdev-mirror", "Source and target image have different sizes"));
        }
        let copy = DiskCopy { target: target.clone(), shallow, looks: 0 };
        self.active(reference)?.copies.insert(name.to_owned(), copy);
        Ok(())
    }

    pub fn block_job(&mut self, reference: &str, name: &str) -> Result<Option<BlockProgress>, Failure> {
        let copying = self.hypervisor.copying;
        let domain = self.active(reference)?;
        let source = named(domain, name)?.source.unwrap_or_default();
        let Some(copy) = domain.copies.get_mut(name) else { return Ok(None) };
        copy.looks = copy.looks.saturating_add(1);
        let looks = copy.looks;
        let needed = match copying {
            Copying::Breaks(after) if looks > after => {
                domain.copies.remove(name);
                return Ok(None);
            }
            Copying::CatchesUp(needed) => needed,
            Copying::TurnsBack => 0,
            Copying::FallsBehind | Copying::Breaks(_) => u32::MAX,
        };
        let ready = looks > needed;
        let total = self.header(&source).virtual_size.max(1);
        let part = u128::from(total) * u128::from(looks.min(needed)) / u128::from(needed.max(1));
        let done = if ready { total } else { u64::try_from(part).unwrap_or(total).min(total - 1) };
        Ok(Some(BlockProgress { done, total, ready }))
    }

    pub fn end_block_job(&mut self, reference: &str, name: &str, pivot: bool) -> Result<(), Failure> {
        let copying = self.hypervisor.copying;
        let domain = self.active(reference)?;
        let source = named(domain, name)?.source.unwrap_or_default();
        let Some(copy) = domain.copies.get(name).cloned() else {
            return Err(invalid_arg(format!("disk {name} does not have an active block job")));
        };
        if !pivot || copying == Copying::TurnsBack {
            domain.copies.remove(name);
            return Ok(());
        }
        if !matches!(copying, Copying::CatchesUp(needed) if copy.looks > needed) {
            return Err(block_copy_active(format!("disk '{name}' not ready for pivot yet")));
        }
        let moved = moved(domain.xml(), name, &copy.target)?;
        let there = self.file_to_write(&copy.target.path, name)?;
        self.fill(&source, &there, copy.shallow);
        let domain = self.active(reference)?;
        domain.copies.remove(name);
        domain.live = Some(moved);
        Ok(())
    }

    /// Fails where a disk of the domain is being copied.
    pub(super) fn no_copies(domain: &Domain) -> Result<(), Failure> {
        match domain.copies.is_empty() {
            true => Ok(()),
            false => Err(operation_invalid("domain has active block job")),
        }
    }

    /// What the header of a disk's image says; of one that is not in the tree, nothing.
    pub(super) fn header(&self, path: &str) -> Image {
        let place = self.files.place(None, path, Last::Follow);
        match place.ok().and_then(|place| self.files.at(&place.names)) {
            Some(Entry::File(file)) => file.header(),
            Some(Entry::BlockDevice(size)) => Image::new("raw", *size),
            _ => Image::new("raw", 0),
        }
    }

    /// The real names of the file or device that a disk is copied to.
    fn file_to_write(&self, path: &str, disk: &str) -> Result<Vec<String>, Failure> {
        let missing = || system(format!("missing destination file for disk {disk}: {path}: No such file or directory"));
        let place = self.files.place(None, path, Last::Follow).map_err(|_| missing())?;
        if let Some(policy) = self.policy {
            self.files.authorise(&policy.paths, &place.names, Access::ReadWrite)?;
        }
        if place.exists { Ok(place.names) } else { Err(missing()) }
    }

    /// Puts a disk's content into an image that is there.
    fn fill(&mut self, source: &str, target: &[String], shallow: bool) {
        let from = self.files.file(source).cloned();
        if let (Some(from), Some(Entry::File(to))) = (from, self.files.at_mut(target)) {
            pour(&from, to, shallow);
        }
    }
}

/// A guest's content, put into another image. Snapshots inside of an image are not the guest's.
pub(super) fn pour(from: &File, to: &mut File, shallow: bool) {
    let (old, new) = (to.header(), from.header());
    if old.format == "raw" && new.format == "raw" {
        (to.content, to.size) = (from.content.clone(), to.size.max(from.size));
        return;
    }
    let below = if shallow { (old.backing_file, old.backing_format) } else { (None, None) };
    to.set_header(Image {
        format: old.format,
        virtual_size: old.virtual_size.max(new.virtual_size),
        backing_file: below.0,
        backing_format: below.1,
        snapshots: Vec::new(),
    });
}

fn named(domain: &Domain, name: &str) -> Result<Disk, Failure> {
    let document = parse("domain_definition", domain.xml())?;
    let found = disks(document.root_element()).into_iter().find(|disk| disk.target == name);
    found.ok_or_else(|| invalid_arg(format!("disk '{name}' not found in domain")))
}

/// One change of a disk's element.
type Change<'c> = &'c dyn Fn(Node<'_, '_>) -> Option<Edit>;

/// The description with a disk at another place.
fn moved(xml: &str, name: &str, target: &CopyTarget) -> Result<String, Failure> {
    let (kind, attribute) = if target.block { ("block", "dev") } else { ("file", "file") };
    let source = crate::xml::escaped(&target.path);
    let edits: [Change<'_>; 3] = [
        &|node| child(node, "source").map(|it| replace(it, &format!("<source {attribute}='{source}'/>"))),
        &|node| Some(set_attribute(node, "type", kind)),
        &|node| child(node, "driver").map(|driver| set_attribute(driver, "type", &target.format)),
    ];
    edits.into_iter().try_fold(xml.to_owned(), |xml, edit| {
        let document = parse("domain_definition", &xml)?;
        let mut all = devices(document.root_element()).filter(|node| node.has_tag_name("disk"));
        let edit = all.find(|node| disk(*node).target == name).and_then(edit);
        Ok(edit.map_or(xml.clone(), |edit| edit.apply(&xml)))
    })
}

fn qemu(command: &str, message: &str) -> Failure {
    internal(format!("unable to execute QEMU command '{command}': {message}"))
}

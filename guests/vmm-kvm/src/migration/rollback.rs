//! Back to where the disks were, when one of them cannot move.

use remotes_sdk::libvirt::{self, CopyTarget, Scope};
use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, error, image, info};

use super::disks::{kind, path};
use super::layout::is_inside;
use super::made::Made;
use super::{Journey, copying};
use crate::metadata::Metadata;

/// What has been done so far.
pub struct Rollback<'a> {
    journey: &'a Journey,
    made: &'a Made,
    copies: Vec<String>,
    drives: Vec<String>,
    metadata: Option<&'a Metadata>,
}

impl<'a> Rollback<'a> {
    /// Nothing but what was made.
    pub fn new(journey: &'a Journey, made: &'a Made) -> Self {
        Self { journey, made, copies: Vec::new(), drives: Vec::new(), metadata: None }
    }

    /// A copy of this disk is begun.
    pub fn copy(&mut self, disk: &str) {
        self.copies.push(disk.to_owned());
    }

    /// A drive, which was described so, gets another medium.
    pub fn drive(&mut self, xml: &str) {
        self.drives.push(xml.to_owned());
    }

    /// These metadata are changed.
    pub fn metadata(&mut self, metadata: &'a Metadata) {
        self.metadata = Some(metadata);
    }

    /// Puts all of it back. What was made is removed only where nothing is in use any more.
    pub fn run(&self) {
        match self.all() {
            Ok(()) => self.made.remove(),
            Err(failure) => error!(
                "the machine runs, with disks in {} and in {}; nothing is removed from either: {}",
                self.journey.from, self.journey.to, failure.message
            ),
        }
    }

    fn all(&self) -> Result<(), Failure> {
        let journey = self.journey;
        for disk in &self.copies {
            copying::give_up(journey, disk)?;
        }
        self.bring_back()?;
        for xml in &self.drives {
            libvirt::update_device(&journey.source, &journey.id, xml, Scope::Live, true)?;
        }
        if let Some(metadata) = self.metadata {
            metadata.set(&journey.source, &journey.id)?;
        }
        Ok(())
    }

    /// Disks that have gone over to their copies, in this action or in one before it, are copied back.
    fn bring_back(&self) -> Result<(), Failure> {
        let journey = self.journey;
        let xml = libvirt::xml(&journey.source, &journey.id)?;
        let document = Document::parse(&xml)?;
        for element in document.elements("devices").into_iter().flat_map(|devices| devices.elements("disk")) {
            let target = element.first("target").and_then(|target| target.attribute("dev"));
            let (Some(target), Some(there)) = (target, path(element)) else { continue };
            if !is_inside(&journey.to, &there) || matches!(element.attribute("device"), Some("cdrom" | "floppy")) {
                continue;
            }
            let back = format!("{}{}", journey.from, &there[journey.to.len()..]);
            if kind(&journey.here(&*back))?.is_none() {
                return Err(Failure::not_found(format!("{back}, which {target} was moved from, is gone")));
            }
            info!("{target} is copied back to {back}");
            let block = element.attribute("type") == Some("block");
            let info = if block { None } else { Some(image::inspect(&journey.here(&*there))?) };
            let shallow = info.as_ref().is_some_and(|info| info.backing_file.is_some());
            let format = info.map_or_else(|| "raw".to_owned(), |info| info.format);
            let copy = CopyTarget { path: back, format, block };
            copying::copy(journey, target, &copy, shallow)?;
            copying::pivot(journey, target, &copy)?;
        }
        Ok(())
    }
}

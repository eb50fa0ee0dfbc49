//! The capability `image`: of an image only the header exists.

use remotes_effect::image::{Backing, Executor, Info};
use remotes_effect::policy::beside;
use remotes_effect::types::{Failure, Place};
use serde::{Deserialize, Serialize};

use super::{Entry, File, Last, qcow2};
use crate::Simulation;

/// Formats that qemu-img makes and converts to.
const FORMATS: [&str; 7] = ["raw", "qcow2", "qed", "vdi", "vhdx", "vmdk", "vpc"];

/// What an image's header says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// qemu's name of the format
    pub format: String,
    /// bytes the guest sees
    pub virtual_size: u64,
    /// the image that this one is laid over
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing_file: Option<String>,
    /// and its format
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing_format: Option<String>,
    /// names of internal snapshots
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<String>,
}

impl Image {
    /// An empty image without backing file.
    pub fn new(format: &str, virtual_size: u64) -> Self {
        Self { format: format.to_owned(), virtual_size, ..Self::default() }
    }
}

impl File {
    /// The file of an image: a raw one is a hole, a qcow2 one begins with its header.
    pub fn of_image(image: Image) -> Self {
        let (content, size) = match image.format.as_str() {
            "raw" => (Vec::new(), image.virtual_size),
            "qcow2" => (qcow2::write(image.virtual_size), 196_608),
            _ => (Vec::new(), 65_536),
        };
        let plain = image.backing_file.is_none() && image.backing_format.is_none() && image.snapshots.is_empty();
        let told = plain && matches!(image.format.as_str(), "raw" | "qcow2");
        Self { content, size, mode: 0o644, modified: 0, image: (!told).then_some(image) }
    }

    /// What its header says; a file without one is a raw image.
    pub fn header(&self) -> Image {
        let read = || qcow2::read(&self.content).unwrap_or_else(|| Image::new("raw", self.size));
        self.image.clone().unwrap_or_else(read)
    }

    /// Gives the header other content.
    pub fn set_header(&mut self, image: Image) {
        let raw = image.format == "raw";
        let fresh = Self::of_image(image);
        let header = fresh.content.len();
        self.content.resize(self.content.len().max(header), 0);
        self.content[..header].copy_from_slice(&fresh.content);
        self.size = if raw { fresh.size } else { self.size.max(fresh.size) };
        self.content.truncate(usize::try_from(self.size).unwrap_or(usize::MAX));
        self.image = fresh.image;
    }
}

impl Executor for Simulation {
    fn inspect(&mut self, at: &Place) -> Result<Info, Failure> {
        let disk = self.disk(&at.on)?;
        let (image, actual_size) = match disk.entry(&at.path, Last::Follow)? {
            Entry::File(file) => (file.header(), file.allocated()),
            Entry::BlockDevice(size) => (Image::new("raw", *size), 0),
            _ => return Err(Failure::invalid(format!("{}: is neither a regular file nor a block device", at.path))),
        };
        let Image { format, virtual_size, backing_file, backing_format, snapshots } = image;
        Ok(Info { format, virtual_size, actual_size, backing_file, backing_format, snapshots })
    }

    fn create(
        &mut self,
        at: &Place,
        format: &str,
        size: Option<u64>,
        based_on: Option<&Backing>,
    ) -> Result<(), Failure> {
        known(format)?;
        let mut disk = self.disk(&at.on)?;
        let below = match based_on {
            Some(base) if format == "raw" => {
                return Err(Failure::invalid(format!("{}: a raw image cannot be based on {}", at.path, base.path)));
            }
            Some(base) => match disk.entry(&beside(&at.path, &base.path).to_string_lossy(), Last::Follow)? {
                Entry::File(file) => Some(file.header().virtual_size),
                Entry::BlockDevice(size) => Some(*size),
                _ => return Err(Failure::invalid(format!("{}: is no image", base.path))),
            },
            None => None,
        };
        let size = size
            .or(below)
            .ok_or_else(|| Failure::invalid(format!("{}: a new image needs a size or a base", at.path)))?;
        let names = disk.slot(&at.path)?;
        if disk.tree.at(&names).is_some() {
            return Err(Failure::exists(format!("{}: exists already", at.path)));
        }
        let image = Image {
            backing_file: based_on.map(|base| base.path.clone()),
            backing_format: based_on.map(|base| base.format.clone()),
            ..Image::new(format, size)
        };
        disk.put_file(&at.path, File::of_image(image))
    }

    fn convert(&mut self, source: &Place, source_format: &str, target: &Place, format: &str) -> Result<(), Failure> {
        known(source_format)?;
        known(format)?;
        let mut disk = self.disk_of_both(source, target)?;
        let image = match disk.entry(&source.path, Last::Follow)? {
            Entry::File(file) => file.header(),
            Entry::BlockDevice(size) => Image::new("raw", *size),
            _ => return Err(Failure::invalid(format!("{}: is no image", source.path))),
        };
        let size = match source_format {
            // Whatever it begins with: named raw, it is read as that.
            "raw" if image.format != "raw" => disk.regular(&source.path)?.size,
            named if named != image.format => {
                return Err(Failure::failed(format!("{}: Image is not in {named} format", source.path)));
            }
            _ => image.virtual_size,
        };
        let mode = disk.regular(&source.path).map_or(0o644, |file| file.mode);
        disk.put_file(&target.path, File { mode, ..File::of_image(Image::new(format, size)) })
    }
}

fn known(format: &str) -> Result<(), Failure> {
    match FORMATS.contains(&format) {
        true => Ok(()),
        false => Err(Failure::invalid(format!("Unknown file format '{format}': expected {}", FORMATS.join(", ")))),
    }
}

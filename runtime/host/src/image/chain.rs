//! An image with everything behind it, each file found below the granted folders and held by a
//! descriptor: qemu gets descriptors for all of them, and follows no name that a header holds.
//!
//! A name in a header that is relative stands in the folder of the name by which its image was opened, as qemu and
//! libvirt take it, and not where that image really is.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use remotes_effect::policy::{Access, beside};
use remotes_effect::types::Failure;
use remotes_process::Process;
use remotes_process::report::shown;
use rustix::fs::{FileType, OFlags};
use serde_json::{Value, json};

use super::format::Format;
use super::header::Header;
use crate::jail::{Found, Jail};

/// Images behind one another.
const MAX_LAYERS: usize = 128;

/// One image of a chain.
#[derive(Debug)]
pub(crate) struct Layer {
    image: Found,
    /// the name by which it was opened
    name: PathBuf,
    data: Option<Found>,
    pub header: Header,
}

impl Layer {
    /// Looks at the header of an image, opened by `name`, of which the format is known, or else found out by the
    /// header. What is to be done with the image is done with its data file, too.
    pub fn open(
        jail: &Jail,
        image: Found,
        name: &Path,
        format: Option<Format>,
        wanted: Access,
    ) -> Result<Self, Failure> {
        let path = &image.shown();
        let image = disk(image, path)?;
        let header = match format {
            // What a raw image begins with belongs to the guest.
            Some(Format::Raw) => Header::alone(Format::Raw),
            _ => {
                let file = File::from(image.open(OFlags::RDONLY)?);
                Header::read(&file).map_err(|error| Failure::invalid(format!("{}: {error}", shown(path))))?
            }
        };
        if let Some(format) = format.filter(|format| *format != header.format) {
            return Err(Failure::invalid(format!(
                "{}: is said to be {}, but its header is that of {}",
                shown(path),
                format.name(),
                header.format.name()
            )));
        }
        if let Format::Foreign(name) = header.format {
            return Err(Failure::unsupported(format!(
                "{}: images of format {name} are not opened; convert it to qcow2 or raw first",
                shown(path)
            )));
        }
        let data = match &header.data_file {
            Some(reference) => {
                let data = beside(name, local(path, "data file", reference)?);
                Some(disk(jail.named(&data, wanted).map_err(|failure| naming(path, "data file", failure))?, path)?)
            }
            None => None,
        };
        Ok(Self { image, name: name.to_owned(), data, header })
    }

    /// The image behind this one, and the name that leads there; a failure of kind `not-found` where the file is
    /// missing.
    pub fn backing(&self, jail: &Jail) -> Result<Option<(Found, PathBuf)>, Failure> {
        let Some(reference) = &self.header.backing else { return Ok(None) };
        let path = &self.image.shown();
        let name = beside(&self.name, local(path, "backing file", reference)?);
        let found = jail.named(&name, Access::ReadOnly).map_err(|failure| naming(path, "backing file", failure))?;
        Ok(Some((found, name)))
    }

    /// The format of the image behind this one. Older headers do not say it: libvirt then takes for raw what is no
    /// image of another format, and nothing else.
    fn backing_format(&self, backing: &Found) -> Result<Format, Failure> {
        let told = match self.header.backing_format.as_deref() {
            None | Some("") => {
                let file = File::from(disk(backing.again()?, &backing.shown())?.open(OFlags::RDONLY)?);
                Header::read(&file).ok().map(|header| header.format).filter(|format| *format == Format::Raw)
            }
            Some(name) => Format::readable(name),
        };
        told.ok_or_else(|| {
            Failure::invalid(format!(
                "{}: names {:?} as format of its backing file, expected raw, qcow2, vdi, vpc or vhdx; \
                 `qemu-img rebase -u -F FORMAT` sets it",
                self.image.shown(),
                remotes_effect::text::one_line(self.header.backing_format.as_deref().unwrap_or_default())
            ))
        })
    }

    /// How qemu opens this image, on top of `backing`.
    pub fn options(&self, process: &mut Process, backing: Value) -> Result<Value, Failure> {
        let mut options = json!({ "driver": self.header.format.name(), "file": protocol(&self.image, process)? });
        if self.header.format == Format::Qcow2 {
            options["backing"] = backing;
        }
        if let Some(data) = &self.data {
            options["data-file"] = protocol(data, process)?;
        }
        Ok(options)
    }
}

/// An image, opened by `path` for this, what is behind it, and so on to the last one; those are only read.
pub(crate) fn chain(
    jail: &Jail,
    image: Found,
    path: &str,
    format: Format,
    wanted: Access,
) -> Result<Vec<Layer>, Failure> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut next = Some((image, PathBuf::from(path), format));
    while let Some((image, name, format)) = next.take() {
        let is_there = layers.iter().any(|layer| layer.image.is(image.stat()));
        if is_there || layers.len() == MAX_LAYERS {
            return Err(Failure::invalid(format!(
                "{}: its backing files form a circle, or are more than {MAX_LAYERS}",
                shown(path)
            )));
        }
        let wanted = if layers.is_empty() { wanted } else { Access::ReadOnly };
        let layer = Layer::open(jail, image, &name, Some(format), wanted)?;
        if let Some((backing, name)) = layer.backing(jail)? {
            let format = layer.backing_format(&backing)?;
            next = Some((backing, name, format));
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// How qemu reaches the bytes of one file.
fn protocol(file: &Found, process: &mut Process) -> Result<Value, Failure> {
    let driver = if file.kind() == FileType::BlockDevice { "host_device" } else { "file" };
    Ok(json!({ "driver": driver, "filename": process.inherit(file.again()?.into_fd()) }))
}

fn disk(found: Found, path: &str) -> Result<Found, Failure> {
    match found.kind() {
        FileType::BlockDevice => Ok(found),
        _ => found.regular(path),
    }
}

/// A name in a header, where it is one of a file: `nbd:…`, `json:…` and the like are not.
pub(super) fn local<'a>(path: &str, what: &str, name: &'a [u8]) -> Result<&'a Path, Failure> {
    let first = name.split(|byte| *byte == b'/').next().unwrap_or_default();
    let problem = match name {
        [] => "is empty",
        _ if first.contains(&b':') => "is no file name",
        _ if name.contains(&0) => "holds a NUL",
        _ => return Ok(Path::new(OsStr::from_bytes(name))),
    };
    Err(Failure::denied(format!("{}: its {what} {problem}: {}", shown(path), shown(OsStr::from_bytes(name)))))
}

fn naming(path: &str, what: &str, failure: Failure) -> Failure {
    Failure { message: format!("{}: its {what}: {}", shown(path), failure.message), ..failure }
}

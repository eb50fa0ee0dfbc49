//! Disk images, through `qemu-img`. qemu is told the format and gets descriptors, never names: neither a
//! header nor a link put there meanwhile makes it open anything that was not checked.

mod chain;
mod format;
mod header;

use std::path::Path;

use remotes_effect::deadline::Deadline;
use remotes_effect::image::{Backing, Executor, Info};
use remotes_effect::policy::{Access, beside, normalized};
use remotes_effect::text::one_line;
use remotes_effect::tools::Outcome;
use remotes_effect::types::{Failure, FailureKind, Place};
use remotes_process::report::{io_failure, shown};
use remotes_process::{Process, system_program};
use rustix::fs::Mode;
use serde::Deserialize;
use serde_json::Value;

use crate::beside::Beside;
use crate::jail::{Jail, Last};
use chain::Layer;
pub(crate) use chain::chain;
pub use format::Format;
pub use header::{Header, HeaderError};

/// The executor of `image`.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    jail: &'a Jail,
    deadline: Deadline,
}

impl<'a> Images<'a> {
    /// Acts below the jail's folders, no longer than until the deadline.
    pub fn new(jail: &'a Jail, deadline: Deadline) -> Self {
        Self { jail, deadline }
    }

    /// Looks at what an image is to be based on, and at everything behind that.
    fn base(&self, at: &Place, format: Format, base: &Backing) -> Result<Base, Failure> {
        if format == Format::Raw {
            let (at, base) = (shown(&at.path), shown(&base.path));
            return Err(Failure::invalid(format!(
                "{at}: a raw image cannot be based on {base}, only a qcow2 image can"
            )));
        }
        let format = source_format(&base.path, &base.format)?;
        // As libvirt finds it later: by the same names, without what means nothing in a path.
        let names = normalized(&beside(&at.path, &base.path).to_string_lossy())?;
        let path = format!("/{}", names.join("/"));
        let name = match base.path.starts_with('/') {
            true => path.clone(),
            false => normalized(&format!("/{}", base.path))?.join("/"),
        };
        chain::local(&at.path, "base", name.as_bytes())
            .map_err(|failure| Failure { kind: FailureKind::Invalid, ..failure })?;
        let found = self.jail.find(&path, Access::ReadOnly, Last::Follow)?;
        let layers = chain(self.jail, found, &path, format, Access::ReadOnly)?;
        let mut process = qemu_img(&path)?;
        let Some(layer) = layers.first() else {
            return Err(Failure::failed(format!("{}: is no image", shown(&path))));
        };
        let options = layer.options(&mut process, Value::Null)?;
        let size = self.report(&path, process, &options)?.virtual_size;
        Ok(Base { name, format, size })
    }

    /// What qemu says about an image. A guest may hold the image's lock; for looking at the header it need
    /// not be ours (-U).
    fn report(&self, path: &str, process: Process, options: &Value) -> Result<Report, Failure> {
        let outcome = self.run(path, process.arguments(["info", "-U", "--output=json", &source(options)]))?;
        serde_json::from_slice(&outcome.stdout).map_err(|error| {
            Failure::failed(format!("{}: qemu-img info answered what is not understood: {error}", shown(path)))
        })
    }

    fn run(&self, path: &str, process: Process) -> Result<Outcome, Failure> {
        let outcome = process
            .run(self.deadline)
            .map_err(|failure| Failure { message: format!("{}: {}", shown(path), failure.message), ..failure })?;
        match outcome.status {
            0 => Ok(outcome),
            status => Err(complaint(path, status, &outcome.stderr)),
        }
    }
}

impl Executor for Images<'_> {
    fn inspect(&mut self, at: &Place) -> Result<Info, Failure> {
        let found = self.jail.find(&at.path, Access::ReadOnly, Last::Follow)?;
        let layer = Layer::open(self.jail, found, Path::new(&at.path), None, Access::ReadOnly)?;
        // Where the backing file is missing, that is for the driver to know, and the name stays.
        match layer.backing(self.jail) {
            Err(failure) if failure.kind != FailureKind::NotFound => return Err(failure),
            _ => {}
        }
        let mut process = qemu_img(&at.path)?;
        let options = layer.options(&mut process, Value::Null)?;
        let report = self.report(&at.path, process, &options)?;
        let header = layer.header;
        Ok(Info {
            format: header.format.name().to_owned(),
            virtual_size: report.virtual_size,
            actual_size: report.actual_size,
            backing_file: header.backing.map(|name| String::from_utf8_lossy(&name).into_owned()),
            backing_format: header.backing_format,
            snapshots: report.snapshots.into_iter().map(|snapshot| snapshot.name).collect(),
        })
    }

    fn create(
        &mut self,
        at: &Place,
        format: &str,
        size: Option<u64>,
        based_on: Option<&Backing>,
    ) -> Result<(), Failure> {
        let format = target_format(&at.path, format)?;
        let slot = self.jail.slot(&at.path)?;
        if slot.stat()?.is_some() {
            return Err(Failure::exists(format!("{}: exists already", shown(&at.path))));
        }
        let base = based_on.map(|base| self.base(at, format, base)).transpose()?;
        let Some(size) = size.or(base.as_ref().map(|base| base.size)) else {
            return Err(Failure::invalid(format!(
                "{}: a new image needs a size, or a base to have it of",
                shown(&at.path)
            )));
        };
        let new = Beside::new(&slot, Mode::from_raw_mode(0o644))?;
        let mut process = qemu_img(&at.path)?.arguments(["create", "-q", "-f", format.name()]);
        if let Some(base) = base {
            // It was opened and checked; -u keeps qemu from opening it once more, by its name.
            process = process.arguments(["-u", "-F", base.format.name(), "-b", &base.name]);
        }
        let target = target(&new, &mut process)?;
        self.run(&at.path, process.arguments([target, size.to_string()]))?;
        new.create()
    }

    fn convert(&mut self, from: &Place, from_format: &str, to: &Place, format: &str) -> Result<(), Failure> {
        let format = target_format(&to.path, format)?;
        let from_format = source_format(&from.path, from_format)?;
        let found = self.jail.find(&from.path, Access::ReadOnly, Last::Follow)?;
        let mode = Mode::from_raw_mode(found.stat().st_mode & 0o777) | Mode::RUSR | Mode::WUSR;
        let slot = self.jail.slot(&to.path)?;
        slot.replaceable()?;
        let layers = chain(self.jail, found, &from.path, from_format, Access::ReadOnly)?;
        let mut process = qemu_img(&from.path)?;
        let mut options = Value::Null;
        for layer in layers.iter().rev() {
            options = layer.options(&mut process, options)?;
        }
        let new = Beside::new(&slot, mode)?;
        let target = target(&new, &mut process)?;
        let process = process.arguments(["convert", "-q", "-O", format.name(), &source(&options), &target]);
        self.run(&from.path, process)?;
        new.replace()
    }
}

/// What a new image is based on.
struct Base {
    /// as the new image's header is to have it
    name: String,
    format: Format,
    /// bytes that a guest sees
    size: u64,
}

/// What `qemu-img info` prints, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    virtual_size: u64,
    #[serde(default)]
    actual_size: u64,
    #[serde(default)]
    snapshots: Vec<Snapshot>,
}

#[derive(Deserialize)]
struct Snapshot {
    name: String,
}

fn qemu_img(path: &str) -> Result<Process, Failure> {
    let program = system_program("qemu-img").ok_or_else(|| {
        Failure::unsupported(format!("{}: qemu-img is not installed (package qemu-utils)", shown(path)))
    })?;
    Ok(Process::new(program))
}

/// Block device options as qemu takes them in place of a file name.
fn source(options: &Value) -> String {
    format!("json:{options}")
}

fn target(new: &Beside<'_>, process: &mut Process) -> Result<String, Failure> {
    let file = new.file().try_clone().map_err(|error| io_failure("qemu-img", "hand it the new file", &error))?;
    Ok(process.inherit(file.into()))
}

fn source_format(path: &str, format: &str) -> Result<Format, Failure> {
    Format::readable(format).ok_or_else(|| {
        Failure::unsupported(format!(
            "{}: cannot read an image of format {}, expected raw, qcow2, vdi, vpc or vhdx",
            shown(path),
            one_line(format)
        ))
    })
}

fn target_format(path: &str, format: &str) -> Result<Format, Failure> {
    Format::writable(format).ok_or_else(|| {
        Failure::unsupported(format!(
            "{}: cannot make an image of format {}, expected raw or qcow2",
            shown(path),
            one_line(format)
        ))
    })
}

/// What qemu-img says on its standard error, without the options that it repeats.
fn complaint(path: &str, status: i32, stderr: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().next().unwrap_or_default();
    let line = line.rsplit("}': ").next().unwrap_or(line).trim_start_matches("qemu-img: ");
    let message = format!("{}: qemu-img (status {status}): {}", shown(path), one_line(line));
    match line.contains(" lock") {
        true => Failure::busy(format!("{message}; something else, perhaps a running guest, uses the image")),
        false => Failure::failed(message),
    }
}

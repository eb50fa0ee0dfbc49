//! Save files. A real one holds a header, the XML and the guest's memory; these hold no memory.

use remotes_effect::libvirt::State;
use remotes_effect::policy::Access;
use remotes_effect::types::Failure;

use super::Session;
use super::definition::Definition;
use super::error::{config_unsupported, operation_failed, system};
use crate::files::{Entry, File, Last, Place, Stuck};

const MAGIC: &str = "LibvirtQemudSave\n";

/// What a save file holds.
struct Image {
    definition: Definition,
    state: State,
}

/// The content of a save file of this domain.
pub(crate) fn saved(xml: &str, running: bool) -> String {
    format!("{MAGIC}{}\n{xml}", if running { "running" } else { "paused" })
}

impl Session<'_> {
    pub fn save(&mut self, reference: &str, path: &str) -> Result<(), Failure> {
        self.domain(reference)?;
        let place = self.place(path, Access::ReadWrite)?;
        let domain = self.active(reference)?;
        Self::no_copies(domain)?;
        let name = domain.name.clone();
        let xml = Definition::lenient(domain.xml())?.xml;
        let content = saved(&xml, domain.state != State::Paused).into_bytes();
        self.store(&place.names, content)?;
        self.hypervisor.stop(&name);
        Ok(())
    }

    pub fn saved_xml(&mut self, path: &str) -> Result<String, Failure> {
        Ok(self.image(path)?.definition.xml)
    }

    pub fn restore(&mut self, path: &str, xml: Option<&str>) -> Result<(), Failure> {
        let Image { definition: source, state } = self.image(path)?;
        let target = match xml {
            None => source,
            Some(xml) => {
                let target = Definition::read(xml)?;
                compatible(&source, &target)?;
                Definition { uuid: target.uuid.or(source.uuid), ..target }
            }
        };
        self.start(target, state).map(|_| ())
    }

    fn image(&mut self, path: &str) -> Result<Image, Failure> {
        let place = self.place(path, Access::ReadOnly)?;
        let Some(Entry::File(file)) = self.files.at(&place.names) else { return Err(absent("open", path)) };
        let image = std::str::from_utf8(&file.content).ok().and_then(|text| text.strip_prefix(MAGIC));
        let Some((state, xml)) = image.and_then(|image| image.split_once('\n')) else {
            return Err(operation_failed("image magic is incorrect"));
        };
        let definition = Definition::lenient(xml)?;
        self.allowed(&definition.name)?;
        Ok(Image { definition, state: if state == "paused" { State::Paused } else { State::Running } })
    }
}

impl Session<'_> {
    /// Where a path really leads: below a granted folder, and to a regular file if to anything.
    fn place(&self, path: &str, wanted: Access) -> Result<Place, Failure> {
        let what = if wanted == Access::ReadWrite { "create" } else { "open" };
        let place = self.files.place(None, path, Last::Follow).map_err(|stuck| match stuck {
            Stuck::Missing(_) => absent(what, path),
            Stuck::Failed(failure) => failure,
        })?;
        if let Some(policy) = self.policy {
            self.files.authorise(&policy.paths, &place.names, wanted)?;
        }
        match (self.files.at(&place.names), wanted) {
            (Some(Entry::File(_)), _) => Ok(place),
            (None, Access::ReadWrite) if !place.exists => match self.files.entry(path) {
                Some(_) => Err(Failure::denied(format!("{path}: is a link to something that does not exist"))),
                None => Ok(place),
            },
            (None, _) if !place.exists => Err(absent(what, path)),
            _ => Err(Failure::invalid(format!("{path}: is not a regular file"))),
        }
    }

    /// Writes as libvirt does: into a file that is there, keeping its mode, or into a new one of mode 0600.
    fn store(&mut self, names: &[String], content: Vec<u8>) -> Result<(), Failure> {
        let mode = match self.files.at(names) {
            Some(Entry::File(file)) => file.mode,
            _ => 0o600,
        };
        let file = File { mode, modified: self.now / 1000, ..File::new(content) };
        self.files.set(names, Entry::File(file)).map_err(|error| system(error.to_string()))
    }
}

/// libvirt restores only into what the guest cannot tell from what it was.
fn compatible(source: &Definition, target: &Definition) -> Result<(), Failure> {
    let differs = |what: &str, new: &str, old: &str| {
        Err(config_unsupported(format!("Target domain {what} {new} does not match source {old}")))
    };
    if target.name != source.name {
        return differs("name", &format!("'{}'", target.name), &format!("'{}'", source.name));
    }
    if let (Some(new), Some(old)) = (&target.uuid, &source.uuid)
        && new != old
    {
        return differs("uuid", new, old);
    }
    match (target.memory, source.memory) {
        (Some(new), Some(old)) if new != old => differs("max memory", &new.to_string(), &old.to_string()),
        _ => Ok(()),
    }
}

fn absent(what: &str, path: &str) -> Failure {
    Failure::not_found(format!("Failed to {what} file '{path}': No such file or directory"))
}

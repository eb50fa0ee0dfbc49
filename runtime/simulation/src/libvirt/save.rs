//! Save files. A real one holds a header, the XML and the guest's memory; these hold no memory.

use remotes_effect::libvirt::State;
use remotes_effect::types::Failure;

use super::Session;
use super::definition::Definition;
use super::error::{config_unsupported, operation_failed, system};
use crate::files::{Entry, File, Last, Tree};

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
        let now = self.now / 1000;
        let domain = self.active(reference)?;
        let name = domain.name.clone();
        let xml = Definition::lenient(domain.xml())?.xml;
        let content = saved(&xml, domain.state != State::Paused).into_bytes();
        store(self.files, path, content, now)?;
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
        let Some(file) = self.files.file(path) else {
            return Err(system(format!("Failed to open file '{path}': No such file or directory")));
        };
        let image = std::str::from_utf8(&file.content).ok().and_then(|text| text.strip_prefix(MAGIC));
        let Some((state, xml)) = image.and_then(|image| image.split_once('\n')) else {
            return Err(operation_failed("image magic is incorrect"));
        };
        let definition = Definition::lenient(xml)?;
        self.allowed(&definition.name)?;
        Ok(Image { definition, state: if state == "paused" { State::Paused } else { State::Running } })
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

/// Writes as libvirt does: into a file that is there, keeping its mode, or into a new one of mode 0600.
fn store(files: &mut Tree, path: &str, content: Vec<u8>, now: u64) -> Result<(), Failure> {
    let failed = |reason: &str| system(format!("Failed to create file '{path}': {reason}"));
    let place = files.place(None, path, Last::Follow).map_err(|_| failed("No such file or directory"))?;
    let mode = match files.at(&place.names) {
        None => 0o600,
        Some(Entry::File(file)) => file.mode,
        Some(_) => return Err(failed("Is a directory")),
    };
    let file = File { mode, modified: now, ..File::new(content) };
    files.set(&place.names, Entry::File(file)).map_err(|error| failed(&error.to_string()))
}

//! One machine of the data centre.

use remotes_effect::libvirt::State;
use remotes_effect::tools::Outcome;
use serde::{Deserialize, Serialize};

use crate::files::{Entry, File, Image, Link, Tree};
use crate::libvirt::{Domain, Guest, Hypervisor};
use crate::network::Network;
use crate::tools::Tools;

/// A machine: its files, its hypervisor, its programs. The methods that take `self` build one for a
/// test; they panic on what cannot be meant, as a test should.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// The file tree.
    pub files: Tree,
    /// What libvirt manages.
    pub libvirt: Hypervisor,
    /// Programs that can be run.
    pub tools: Tools,
    /// Links, packet filter, hooks.
    pub network: Network,
}

impl Machine {
    /// An empty machine: a root folder, no domain, no program.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts anything into the tree, with the folders above it; replaces what is there.
    ///
    /// # Panics
    /// Where the path is not absolute or leads through a file.
    pub fn entry(mut self, path: &str, entry: Entry) -> Self {
        must(self.files.put(path, entry));
        self
    }

    /// A file of mode 0644.
    ///
    /// # Panics
    /// As [`Machine::entry`].
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path, Entry::File(File::new(content.into())))
    }

    /// An empty folder of mode 0755; the folders above are made too.
    ///
    /// # Panics
    /// As [`Machine::entry`].
    pub fn directory(mut self, path: &str) -> Self {
        must(self.files.put_directory(path));
        self
    }

    /// A symbolic link.
    ///
    /// # Panics
    /// As [`Machine::entry`].
    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, Entry::Link(Link { target: target.to_owned(), modified: 0 }))
    }

    /// A disk image, of which only the header counts.
    ///
    /// # Panics
    /// As [`Machine::entry`].
    pub fn image(self, path: &str, image: Image) -> Self {
        self.entry(path, Entry::File(File::of_image(image)))
    }

    /// A domain. In an active state it is transient, as OpenNebula's are; in [`State::ShutOff`] it is
    /// persistent.
    ///
    /// # Panics
    /// Where the XML has no name, or name or UUID are taken.
    pub fn domain(mut self, xml: &str, state: State) -> Self {
        let domain = must(Domain::from_xml(xml, state, self.libvirt.take_id()));
        must(self.libvirt.domains.insert(domain));
        self
    }

    /// How the guest of this domain behaves, now and when the domain is created later.
    pub fn guest(mut self, domain: &str, guest: Guest) -> Self {
        self.libvirt.guests.insert(domain.to_owned(), guest);
        self
    }

    /// A program that ends with status 0 and prints nothing.
    pub fn tool(mut self, name: &str) -> Self {
        self.tools.0.entry(name.to_owned()).or_default();
        self
    }

    /// A program and one outcome; more than one are taken in order, the last one stays.
    pub fn tool_outcome(mut self, name: &str, outcome: Outcome) -> Self {
        self.tools.add(name, outcome);
        self
    }

    /// libvirt looks for the files of a domain's disks before it starts the domain, as the real one
    /// does. Off by default, for tests that have no disks.
    pub fn checked_disks(mut self) -> Self {
        self.libvirt.check_disks = true;
        self
    }

    /// The bytes of a regular file, without the hole at its end; links are followed.
    pub fn contents(&self, path: &str) -> Option<&[u8]> {
        self.files.file(path).map(|file| &file.content[..])
    }

    /// The text of a regular file, where it is text.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.contents(path)?).ok()
    }

    /// Whether there is anything; a link as last component is not followed.
    pub fn exists(&self, path: &str) -> bool {
        self.files.entry(path).is_some()
    }

    /// A domain by name or UUID.
    pub fn find(&self, reference: &str) -> Option<&Domain> {
        self.libvirt.domains.get(reference)
    }
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("simulation: {error}"),
    }
}

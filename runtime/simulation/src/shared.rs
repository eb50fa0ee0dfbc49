//! Folders that all machines see alike, as they do on a file server.

use remotes_effect::policy::normalized;
use remotes_effect::types::Node;

use crate::Simulation;
use crate::files::Tree;

impl Simulation {
    /// Gives all machines what this one has in the shared folders.
    pub(crate) fn mirror(&mut self, from: &Node) {
        if self.shared.is_empty() || self.hosts.is_empty() {
            return;
        }
        for folder in self.shared.iter().filter_map(|folder| normalized(folder).ok()) {
            let content = match from {
                Node::Here => Some(&self.here),
                Node::Host(name) => self.hosts.get(name),
            };
            let Some(content) = content.map(|machine| machine.files.at(&folder).cloned()) else { return };
            for machine in std::iter::once(&mut self.here).chain(self.hosts.values_mut()) {
                if machine.files.at(&folder) != content.as_ref() {
                    put(&mut machine.files, &folder, content.clone());
                }
            }
        }
    }
}

fn put(tree: &mut Tree, folder: &[String], content: Option<crate::Entry>) {
    match (content, folder.split_last()) {
        // Where something else is in the way, the machine has its own.
        (Some(entry), _) => drop(tree.set(folder, entry)),
        (None, Some((last, above))) => {
            if let Some(above) = tree.directory_mut(above) {
                above.entries.remove(last);
            }
        }
        (None, None) => {}
    }
}

//! Moving a running machine: to another host, with storage that both see or with its own, or to another
//! system datastore of the same host.
//!
//! Whatever fails, the machine goes on running where it was, what this action has made is removed, and
//! nothing else is. Where it cannot be told which of two hosts runs the machine, nothing is touched.

mod copied;
mod copying;
mod datastore;
mod disks;
mod layout;
mod made;
mod moved;
mod options;
mod position;
mod rollback;
mod shared;
mod snapshots;

use remotes_sdk::libvirt::Migration;
use remotes_sdk::vm::Action;
use remotes_sdk::wait::retry_when;
use remotes_sdk::{Failure, Node, Place, clean, locks, settings};

use crate::domain::busy;

/// One machine on its way.
pub struct Journey {
    /// its UUID
    pub id: String,
    pub vm_id: u32,
    /// where it runs
    pub source: Node,
    /// where it is to run
    pub destination: Node,
    /// its folder in the datastore that it is in
    pub from: String,
    /// its folder in the datastore that it is to be in
    pub to: String,
    how: Migration,
    /// times that what a block job holds up is tried
    tries: u64,
}

/// Moves a machine from a host, where `local` is that host as this driver reaches it.
pub fn run(id: &str, destination: &str, source: &str, local: Node, vm_id: u32, action: &str) -> Result<(), Failure> {
    let same_host = destination.eq_ignore_ascii_case(source);
    let moved = Journey::plan(id, destination, local, vm_id, action, same_host)
        .and_then(|planned| alone(vm_id).map(|()| planned))
        .and_then(|(journey, shared)| match (same_host, journey.from == journey.to, shared) {
            (true, true, _) => Err(Failure::unsupported(UNSUPPORTED)),
            (true, false, _) => datastore::run(&journey),
            (false, false, _) => Err(Failure::unsupported(format!(
                "another host ({destination}) and another datastore ({}) at once: move it to the one first, then to the \
                 other",
                journey.to
            ))),
            (false, true, true) => shared::run(&journey),
            (false, true, false) => copied::run(&journey),
        });
    moved.map_err(|failure| match failure.message == UNSUPPORTED {
        true => failure,
        false => Failure { message: format!("Error migrating VM {id}: {}", failure.message), ..failure },
    })
}

/// Holds off other migrations of the machine until this action ends: an action whose caller has gone runs on, and its
/// repeat would take its copies for leftovers.
fn alone(vm_id: u32) -> Result<(), Failure> {
    match locks::try_acquire(&format!("migrate-{vm_id}"))? {
        true => Ok(()),
        false => Err(Failure::busy(format!(
            "a migration of this machine still runs (another remotes-action holds the lock migrate-{vm_id}); nothing was \
             touched: try again when it has ended"
        ))),
    }
}

const UNSUPPORTED: &str = "Unsupported migration type";

impl Journey {
    /// Reads all that there is to read, before anything happens; and whether both hosts see the same storage.
    fn plan(
        id: &str,
        destination: &str,
        source: Node,
        vm_id: u32,
        action: &str,
        same_host: bool,
    ) -> Result<(Self, bool), Failure> {
        let action = Action::parse(action)?;
        let text = |key: &str| {
            let value = action.text(key).map(str::trim).filter(|value| value.starts_with('/'));
            value.ok_or_else(|| Failure::invalid(format!("action data: {key} is missing or no absolute path")))
        };
        let from = clean(&format!("{}/{vm_id}", text("DATASTORE/BASE_PATH")?));
        let to = clean(text("DISK_TARGET_PATH")?);
        let shared = action.text("DATASTORE/TEMPLATE/SHARED").is_some_and(|it| it.trim().eq_ignore_ascii_case("yes"));
        let tries = match settings::number("VIRSH_TRIES", 3)? {
            0 => 3,
            tries => tries,
        };
        let how = options::read(&action, destination)?;
        let destination = if same_host { source.clone() } else { Node::Host(destination.to_owned()) };
        Ok((Self { id: id.to_owned(), vm_id, source, destination, from, to, how, tries }, shared))
    }

    /// A place on the host that it comes from.
    fn here(&self, path: impl Into<String>) -> Place {
        Place { on: self.source.clone(), path: path.into() }
    }

    /// A place on the host that it goes to.
    fn there(&self, path: impl Into<String>) -> Place {
        Place { on: self.destination.clone(), path: path.into() }
    }

    /// Tries again while a block job holds the domain.
    fn while_busy<T>(&self, attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        retry_when(self.tries, 5, busy, attempt)
    }
}

/// The name of a host, in an error's text.
fn shown(node: &Node) -> &str {
    match node {
        Node::Here => "this host",
        Node::Host(name) => name,
    }
}

//! Moves the running machine; called on the front-end, where `-l migrate=migrate_local` says so.

use remotes_sdk::{Failure, Node};

use crate::{memory, migration};

pub fn run(id: &str, destination: &str, source: &str, vm_id: u32, action: &str) -> Result<(), Failure> {
    if destination != source {
        memory::compact_before_arrival(&Node::Host(destination.to_owned()));
    }
    migration::run(id, destination, source, Node::Host(source.to_owned()), vm_id, action)
}

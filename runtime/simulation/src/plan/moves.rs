//! Machines of a plan that move to another host.

use remotes_effect::libvirt::Effect as On;
use remotes_effect::types::{FailureKind, Node, Place};
use remotes_effect::{Answer, Effect, Executor};

use super::Plan;
use crate::files::Last;
use crate::libvirt::{disk_files, host_of};

impl<E: Executor> Plan<E> {
    /// The domain, the images that go along, and what it could collide with where it goes. Whether storage
    /// is shared only the hypervisors know.
    pub(super) fn migrate(&mut self, effect: &Effect, on: &Node, domain: &str, uri: &str) -> Answer {
        let there = match host_of(uri) {
            None | Some("" | "localhost") => Node::Here,
            Some(host) => Node::Host(host.to_owned()),
        };
        self.machine(&there);
        let known = self.meet(on, domain);
        let reached = known.and_then(|()| match self.real.domains(&there) {
            // A domain that is not there is not moved anywhere.
            Err(failure) if failure.kind == FailureKind::Unavailable && self.machine(on).find(domain).is_some() => {
                Err(failure)
            }
            _ => Ok(()),
        });
        let reached = reached.map_err(|failure| {
            // The hypervisor looks at the domain before it connects to the other, and a guest may be just going.
            let looked = self.pretend(&Effect::Libvirt(On::Find { on: on.clone(), domain: domain.to_owned() }));
            looked.failure().cloned().unwrap_or(failure)
        });
        let prepared = reached.and_then(|()| {
            self.adopt_disks(on, domain);
            let xml = self.machine(on).find(domain).map(|domain| domain.xml().to_owned()).unwrap_or_default();
            self.meet_definition(&there, &xml)?;
            for path in disk_files(&xml) {
                let names = self.found(&Place { on: there.clone(), path }, Last::Follow)?;
                self.adopt(&there, &names)?;
            }
            Ok(())
        });
        self.pretend_after(effect, prepared)
    }
}

//! The real executor, to look at only.

use remotes_effect::iptables::{Family, ListedChain, ListedSet};
use remotes_effect::types::{Failure, Node, Place};
use remotes_effect::{Answer, Effect, Executor, filesystem, image, iptables, libvirt};

/// Lets nothing through that changes something: whatever the plan's other parts do wrong, that holds.
#[derive(Debug)]
pub(super) struct Reality<E>(pub E);

impl<E: Executor> Reality<E> {
    /// Carries out an effect that changes nothing; refuses all others.
    pub fn look(&mut self, effect: &Effect) -> Answer {
        if effect.changes() {
            let failure = Failure::failed(format!("{}: a plan changes nothing", effect.name()));
            return effect.decline(failure);
        }
        self.0.execute(effect)
    }
}

/// A method for each look that the plan takes itself.
macro_rules! looks {
    ($($capability:ident $module:ident: $name:ident $variant:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl<E: Executor> Reality<E> {
            $(
                pub fn $name(&mut self, $($argument: &$type),*) -> Result<$answer, Failure> {
                    let effect = $module::Effect::$variant { $($argument: $argument.to_owned()),* };
                    match self.look(&Effect::$capability(effect)) {
                        Answer::$capability($module::Answer::$variant(result)) => result,
                        _ => Err(Failure::failed("plan: the executor answered something else than it was asked")),
                    }
                }
            )*
        }
    };
}

looks! {
    Filesystem filesystem: stat Stat(at: Place) -> filesystem::Metadata;
    Filesystem filesystem: entries Entries(at: Place) -> Vec<String>;
    Filesystem filesystem: read Read(at: Place) -> Vec<u8>;
    Filesystem filesystem: read_link ReadLink(at: Place) -> String;
    Iptables iptables: chains Chains(family: Family, beginning: str) -> Vec<ListedChain>;
    Iptables iptables: sets Sets(beginning: str) -> Vec<ListedSet>;
    Image image: inspect Inspect(at: Place) -> image::Info;
    Libvirt libvirt: find Find(on: Node, domain: str) -> libvirt::Domain;
    Libvirt libvirt: domains Domains(on: Node) -> Vec<libvirt::Domain>;
    Libvirt libvirt: xml Xml(on: Node, domain: str) -> String;
    Libvirt libvirt: saved_xml SavedXml(on: Node, path: str) -> String;
    Libvirt libvirt: snapshots Snapshots(on: Node, domain: str) -> Vec<String>;
    Libvirt libvirt: snapshot_current SnapshotCurrent(on: Node, domain: str) -> Option<String>;
    Libvirt libvirt: checkpoints Checkpoints(on: Node, domain: str) -> Vec<String>;
    Libvirt libvirt: checkpoint_xml CheckpointXml(on: Node, domain: str, checkpoint: str) -> String;
    Libvirt libvirt: snapshot_xml SnapshotXml(on: Node, domain: str, snapshot: str) -> String;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::types::FailureKind;

    use super::*;
    use crate::Simulation;

    #[test]
    fn lets_no_change_through() {
        let mut real = Reality(Simulation::new().file("/a", "1"));
        let at = || Place { on: Node::Here, path: "/a".to_owned() };
        for effect in [
            Effect::Filesystem(filesystem::Effect::Remove { at: at(), recursive: true }),
            Effect::Image(image::Effect::Create { at: at(), format: "raw".into(), size: Some(1), based_on: None }),
            Effect::Libvirt(libvirt::Effect::Destroy { on: Node::Here, domain: "one-5".into() }),
        ] {
            let answer = real.look(&effect);
            assert_eq!(answer.failure().map(|failure| failure.kind), Some(FailureKind::Failed));
        }
        assert_eq!(real.0.effects, 0);
        assert!(real.stat(&at()).is_ok());
        assert_eq!(real.0.effects, 1);
    }
}

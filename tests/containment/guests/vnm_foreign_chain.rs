//! Replaces, empties and removes chains of the system and of others.

use containment_guests::{rule, tell, transact};
use remotes_sdk::Failure;
use remotes_sdk::iptables::{Chain, Change, Removal, Target};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for name in ["INPUT", "FORWARD", "OUTPUT", "DOCKER", "opennebula", "ACCEPT", "LIBVIRT_FWI", "xone-5-0"] {
        let chain = Chain { name: name.into(), rules: vec![rule(vec![], Target::Drop)] };
        tell(name, transact(Change::ReplaceChain(chain.clone())));
        tell(name, transact(Change::EnsureChain(chain)));
        tell(name, transact(Change::RemoveChains(Removal { base: name.into(), callers: vec![] })));
        let callers = vec![name.into(), "PREROUTING".into()];
        tell(name, transact(Change::RemoveChains(Removal { base: "one-5-0".into(), callers })));
    }
    Ok(())
}

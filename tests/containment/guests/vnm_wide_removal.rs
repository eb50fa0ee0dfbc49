//! Removes families of chains and sets whose common beginning holds those of others.

use containment_guests::{tell, transact};
use remotes_sdk::Failure;
use remotes_sdk::iptables::{self, Change, Removal, Transaction};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for base in ["", "o", "one", "docker", "DOCKER", "*", "-", "one-*"] {
        tell(base, transact(Change::RemoveChains(Removal { base: base.into(), callers: vec![] })));
        let sets = Transaction { sets: vec![], tables: vec![], obsolete_sets: vec![base.into()] };
        tell(base, iptables::apply(&sets));
    }
    Ok(())
}

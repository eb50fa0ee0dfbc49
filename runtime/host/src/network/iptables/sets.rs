//! Sets of addresses.

use std::collections::BTreeMap;
use std::time::Duration;

use remotes_effect::iptables::{AddressSet, Family, ListedSet, SetKind};
use remotes_effect::network::chains::is_of_family;
use remotes_effect::network::names;
use remotes_effect::types::{Failure, FailureKind};

use crate::network::privileged::{Privileged, failure};

/// How long a set is waited for that rules have just let go of: the kernel frees them a little later.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sets of this host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sets<'a>(pub &'a Privileged);

/// What [`Sets::extend`] found.
pub(super) struct Extended {
    /// wanted sets that were there, and may hold more than they should
    known: Vec<String>,
    /// sets to be removed
    obsolete: Vec<String>,
    /// families that the driver owns
    families: Vec<String>,
}

impl Sets<'_> {
    /// Makes the sets that are missing and adds the members that are; takes nothing away.
    pub fn extend(self, sets: &[AddressSet], families: &[String]) -> Result<Extended, Failure> {
        let names = self.names()?;
        let wanted = |name: &String| sets.iter().any(|set| set.name == *name);
        let obsolete = |name: &String| families.iter().any(|base| is_of_family(name, base)) && !wanted(name);
        let mut script = String::new();
        for set in sets {
            script += &create(set, &set.name)?;
            script += &members(set, &set.name)?;
        }
        self.restore(&script, "fill the sets")?;
        let known = names.iter().filter(|name| wanted(name)).cloned().collect();
        let obsolete = names.into_iter().filter(obsolete).collect();
        Ok(Extended { known, obsolete, families: families.to_vec() })
    }

    /// Takes away what the sets should not hold, and the sets that should not be.
    pub fn settle(self, sets: &[AddressSet], extended: Extended) -> Result<(), Failure> {
        let mut script = String::new();
        for set in sets.iter().filter(|set| extended.known.contains(&set.name)) {
            // A set of the right members takes the other's place; rules never see it half full.
            let spare = spare(&set.name, &extended.families);
            script += &create(set, &spare)?;
            script += &format!("flush {spare}\n");
            script += &members(set, &spare)?;
            script += &format!("swap {spare} {}\ndestroy {spare}\n", set.name);
        }
        self.restore(&script, "exchange the sets")?;
        self.destroy(&extended.obsolete)
    }

    fn destroy(self, obsolete: &[String]) -> Result<(), Failure> {
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(1);
        let mut left: Vec<String> = obsolete.to_vec();
        loop {
            let script: String = left.iter().map(|name| format!("destroy {name}\n")).collect();
            match self.restore(&script, "remove the sets") {
                Ok(()) => return Ok(()),
                Err(failure) if waited >= PATIENCE || self.0.deadline().passed() => return Err(failure),
                Err(failure) if failure.kind != FailureKind::Busy && failure.kind != FailureKind::NotFound => {
                    return Err(failure);
                }
                Err(_) => {}
            }
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(50));
            let names = self.names()?;
            left.retain(|name| names.contains(name));
        }
    }

    /// `add` or `del` members of one set; false where there is none.
    pub fn edit(self, verb: &str, set: &str, members: &[String]) -> Result<bool, Failure> {
        members.iter().try_for_each(|member| names::member(member))?;
        if !self.names()?.iter().any(|name| name == set) {
            return Ok(false);
        }
        let script: String = members.iter().map(|member| format!("{verb} {set} {member}\n")).collect();
        self.restore(&script, &format!("change set {set}"))?;
        Ok(true)
    }

    /// The sets whose names begin so, sorted by name, with how many members each has.
    pub fn listed(self, beginning: &str) -> Result<Vec<ListedSet>, Failure> {
        let listing = self.0.must("ipset", &["save"], "list the sets")?;
        let mut sets = BTreeMap::<&str, u32>::new();
        let listing = String::from_utf8_lossy(&listing);
        for line in listing.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("create"), Some(name)) => drop(sets.insert(name, 0)),
                (Some("add"), Some(name)) => *sets.entry(name).or_default() += 1,
                _ => {}
            }
        }
        let listed = sets.into_iter().filter(|(name, _)| name.starts_with(beginning));
        Ok(listed.map(|(name, members)| ListedSet { name: name.to_owned(), members }).collect())
    }

    fn names(self) -> Result<Vec<String>, Failure> {
        let listing = self.0.must("ipset", &["list", "-name"], "list the sets")?;
        Ok(String::from_utf8_lossy(&listing).lines().map(str::to_owned).collect())
    }

    fn restore(self, script: &str, what: &str) -> Result<(), Failure> {
        if script.is_empty() {
            return Ok(());
        }
        let outcome = self.0.run("ipset", &["-exist", "restore"], script.as_bytes())?;
        if outcome.status == 0 { Ok(()) } else { Err(failure(what, &outcome)) }
    }
}

/// A name for a set that takes another's place: of a family of the driver's, so that what a killed action
/// left goes with the family.
fn spare(set: &str, families: &[String]) -> String {
    let base = families.iter().find(|base| is_of_family(set, base)).map_or(set, String::as_str);
    let base: String = base.chars().take(25).collect();
    format!("{base}-spare")
}

fn create(set: &AddressSet, name: &str) -> Result<String, Failure> {
    names::set(name)?;
    let kind = match set.kind {
        SetKind::HashIp => "hash:ip",
        SetKind::HashNet => "hash:net",
        SetKind::HashNetPort => "hash:net,port",
    };
    let family = match set.family {
        Family::Ipv4 => "inet",
        Family::Ipv6 => "inet6",
    };
    let most = set.max_members.map(|most| format!(" maxelem {most}")).unwrap_or_default();
    Ok(format!("create {name} {kind} family {family}{most}\n"))
}

fn members(set: &AddressSet, name: &str) -> Result<String, Failure> {
    set.members.iter().try_for_each(|member| names::member(member))?;
    Ok(set.members.iter().map(|member| format!("add {name} {member}\n")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_spare_set_is_of_the_same_family() {
        assert_eq!(spare("one-1-0-105-i-tcp-n-inet", &["one-2-0".into(), "one-1-0".into()]), "one-1-0-spare");
        let long = "one-12345678901234567890123456789";
        assert!(names::set(&spare(long, &[])).is_ok());
    }
}

//! Sets of addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remotes_effect::iptables::{AddressSet, Family, ListedSet, SetKind};
use remotes_effect::network::chains::is_of_family;
use remotes_effect::network::names;
use remotes_effect::types::{Failure, FailureKind};

use crate::privileged::{Privileged, failure};

/// How long a set is waited for that rules have just let go of: the kernel frees them a little later.
const PATIENCE: Duration = Duration::from_secs(10);

/// The members that a set may have where nothing is said of that.
const DEFAULT_MOST: u32 = 65536;

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
    /// Makes the sets that are missing and adds the members that are; takes nothing away. `names` are those of all
    /// sets.
    pub fn extend(self, sets: &[AddressSet], families: &[String], mut names: Vec<String>) -> Result<Extended, Failure> {
        self.clear_spares(sets, families, &mut names)?;
        let wanted = |name: &String| sets.iter().any(|set| set.name == *name);
        let obsolete = |name: &String| families.iter().any(|base| is_of_family(name, base)) && !wanted(name);
        let mut script = String::new();
        for set in sets {
            script += &create(set, &set.name)?;
            script += &members(set, &set.name)?;
        }
        let known: Vec<String> = names.iter().filter(|name| wanted(name)).cloned().collect();
        match self.restore(&script, "fill the sets") {
            // Sets that are there may have another size, or no room for old and new members.
            Err(_) if !known.is_empty() && !self.0.deadline().passed() => self.widen(sets, &known, families)?,
            other => other?,
        }
        let obsolete = names.into_iter().filter(obsolete).collect();
        Ok(Extended { known, obsolete, families: families.to_vec() })
    }

    /// Removes what a killed action left half full: it may be of another kind than what is needed next.
    fn clear_spares(self, sets: &[AddressSet], families: &[String], names: &mut Vec<String>) -> Result<(), Failure> {
        let spares: BTreeSet<String> = sets.iter().map(|set| spare(&set.name, families)).collect();
        let left: String =
            names.iter().filter(|name| spares.contains(*name)).map(|name| format!("destroy {name}\n")).collect();
        names.retain(|name| !spares.contains(name));
        self.restore(&left, "remove what an interrupted change left")
    }

    /// Does what [`Sets::extend`] does where sets cannot be added to: larger ones with the old and the new
    /// members take their places.
    fn widen(self, sets: &[AddressSet], known: &[String], families: &[String]) -> Result<(), Failure> {
        let mut script = String::new();
        for set in sets {
            if !known.contains(&set.name) {
                script += &create(set, &set.name)?;
                script += &members(set, &set.name)?;
                continue;
            }
            let spare = spare(&set.name, families);
            // Whether it can be what it will be is found out before anything changes.
            script += &format!("{}flush {spare}\n{}destroy {spare}\n", create(set, &spare)?, members(set, &spare)?);
            let old = self.0.must("ipset", &["save", &set.name], &format!("list set {}", set.name))?;
            let old = held(&String::from_utf8_lossy(&old));
            // More than there can be: the set goes as soon as the rules have changed.
            let most = old.len().saturating_add(room(&set.members));
            let most = u32::try_from(most).unwrap_or(u32::MAX).max(set.max_members.unwrap_or(DEFAULT_MOST));
            let both = AddressSet { max_members: Some(most), ..set.clone() };
            script += &format!("{}flush {spare}\n{}", create(&both, &spare)?, members(set, &spare)?);
            script.extend(old.iter().map(|member| format!("add {spare} {member}\n")));
            script += &format!("swap {spare} {}\ndestroy {spare}\n", set.name);
        }
        self.restore(&script, "fill the sets")
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

    /// Those of all sets.
    pub fn names(self) -> Result<Vec<String>, Failure> {
        let listing = self.0.must("ipset", &["list", "-name"], "list the sets")?;
        Ok(String::from_utf8_lossy(&listing).lines().map(str::to_owned).collect())
    }

    /// Has `ipset` do these lines.
    pub fn restore(self, script: &str, what: &str) -> Result<(), Failure> {
        if script.is_empty() {
            return Ok(());
        }
        let outcome = self.0.run("ipset", &["-exist", "restore"], script.as_bytes())?;
        if outcome.status == 0 { Ok(()) } else { Err(failure(what, &outcome)) }
    }
}

/// A name for a set that takes another's place: of a family of the driver's, so that what a killed action
/// left goes with the family.
pub(super) fn spare(set: &str, families: &[String]) -> String {
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

/// The members that a set has, by what `ipset save` says of it.
fn held(listing: &str) -> Vec<String> {
    let member = |line: &str| {
        let mut words = line.split(' ');
        // Of what somebody added by hand: an exception would become the rule.
        (words.next() == Some("add") && !line.ends_with(" nomatch")).then(|| words.nth(1).map(str::to_owned))?
    };
    listing.lines().filter_map(member).collect()
}

/// How many members these become at most: each port of a range is one.
fn room(members: &[String]) -> usize {
    let ports = |member: &String| {
        let range = member.rsplit_once(':').and_then(|(_, ports)| ports.split_once('-'));
        let port = |text: &str| text.parse::<u16>().ok();
        let range = range.and_then(|(first, last)| Some(port(first)?.abs_diff(port(last)?)));
        range.map_or(1, |more| usize::from(more) + 1)
    };
    members.iter().map(ports).sum()
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

    #[test]
    fn members_are_counted_as_ipset_keeps_them() {
        let listing = "create a hash:net family inet hashsize 64 maxelem 9\nadd a 10.0.0.0/8\n\
                       add a 10.1.0.0/16 nomatch\nadd a 10.2.0.0/16 timeout 5\n";
        assert_eq!(held(listing), ["10.0.0.0/8", "10.2.0.0/16"]);
        let members = ["10.0.0.0/8", "10.0.0.0/8,tcp:22", "fd00::/64,udp:80-89", "10.0.0.1/32,icmp:3/1"];
        assert_eq!(room(&members.map(str::to_owned)), 1 + 1 + 10 + 1);
    }
}

//! Sets as they were: when a change is refused, nothing of it stays in them, since the rules from before look there.

use remotes_effect::iptables::AddressSet;
use remotes_effect::types::Failure;

use super::sets::{Sets, spare};

/// What a change of sets found.
pub(super) struct Before {
    /// each set that it concerns, by what `ipset save` says of it
    known: Vec<(String, String)>,
    /// the others, which it makes
    new: Vec<String>,
}

impl Sets<'_> {
    /// Notes what is there of these sets, of all whose names are these.
    pub fn before(self, sets: &[AddressSet], names: &[String]) -> Result<Before, Failure> {
        let (known, new): (Vec<&AddressSet>, Vec<&AddressSet>) = sets.iter().partition(|set| names.contains(&set.name));
        let save = |set: &AddressSet| {
            let listing = self.0.must("ipset", &["save", &set.name], &format!("list set {}", set.name))?;
            Ok((set.name.clone(), String::from_utf8_lossy(&listing).into_owned()))
        };
        let known = known.into_iter().map(save).collect::<Result<Vec<_>, Failure>>()?;
        Ok(Before { known, new: new.into_iter().map(|set| set.name.clone()).collect() })
    }

    /// Has the sets be as they were, after the change has failed for this reason. Returns it, with what could not be
    /// undone.
    pub fn retract(self, before: &Before, families: &[String], reason: Failure) -> Failure {
        let names = match self.names() {
            Ok(names) => names,
            Err(failure) => return also(reason, &failure),
        };
        let is_there = |name: &String| names.contains(name);
        let mut script = String::new();
        for (name, listing) in before.known.iter().filter(|(name, _)| is_there(name)) {
            let spare = spare(name, families);
            if is_there(&spare) {
                script += &format!("destroy {spare}\n");
            }
            script.extend(listing.lines().map(|line| renamed(line, &spare)));
            script += &format!("swap {spare} {name}\ndestroy {spare}\n");
        }
        script.extend(before.new.iter().filter(|name| is_there(name)).map(|name| format!("destroy {name}\n")));
        match self.restore(&script, "have the sets as they were") {
            Ok(()) => reason,
            Err(failure) => also(reason, &failure),
        }
    }
}

fn also(reason: Failure, other: &Failure) -> Failure {
    Failure { message: format!("{}; sets may hold more than before: {}", reason.message, other.message), ..reason }
}

/// A line of `ipset save` about another set: `add NAME 10.0.0.1`.
fn renamed(line: &str, name: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let (verb, _, rest) = (words.next(), words.next(), words.next());
    format!("{} {name} {}\n", verb.unwrap_or_default(), rest.unwrap_or_default())
}

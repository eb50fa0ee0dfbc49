//! Which packets get as far as a chain, by the rules that lead there and those in front of them.

/// The target of rules that packets do not go on from.
const ENDS: [&str; 6] = ["ACCEPT", "DROP", "REJECT", "RETURN", "QUEUE", "NFQUEUE"];
/// The condition of packets that pass a bridge.
const BRIDGED: &str = "--physdev-is-bridged";

/// Kinds of forwarded packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packets {
    /// those that pass a bridge
    pub bridged: bool,
    /// those that are routed
    pub routed: bool,
}

impl Packets {
    const ALL: Self = Self { bridged: true, routed: true };

    /// Those that are of both.
    pub fn and(self, other: Self) -> Self {
        Self { bridged: self.bridged && other.bridged, routed: self.routed && other.routed }
    }

    fn or(self, other: Self) -> Self {
        Self { bridged: self.bridged || other.bridged, routed: self.routed || other.routed }
    }

    fn without(self, other: Self) -> Self {
        Self { bridged: self.bridged && !other.bridged, routed: self.routed && !other.routed }
    }

    /// Whether there are any.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// How packets get to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// of which kinds at least some get there
    pub packets: Packets,
    /// the number of the first rule, from 1, that takes all packets of a kind
    pub taken_by: Option<usize>,
}

/// How packets that meet these rules, as `iptables-save` lists them, get to a chain.
pub fn reach(rules: &[String], chain: &str) -> Reach {
    let (mut reach, mut left) = (Reach::default(), Packets::ALL);
    for (rule, number) in rules.iter().map(|rule| Rule::read(rule)).zip(1..) {
        if rule.target == chain {
            reach.packets = reach.packets.or(left.and(rule.packets()));
        } else if rule.is_end() && rule.takes_all() {
            left = left.without(rule.packets());
            reach.taken_by.get_or_insert(number);
        }
    }
    reach
}

/// What a rule says, as far as it is understood.
struct Rule {
    conditions: Vec<String>,
    /// whether packets do not come back from the target
    goes: bool,
    /// empty where there is none
    target: String,
}

impl Rule {
    fn read(line: &str) -> Self {
        let mut words = words(line);
        // Whoever writes a comment may write into it what looks like a rule.
        while let Some(at) = words.windows(3).position(|words| words == ["-m", "comment", "--comment"]) {
            words.drain(at..(at + 4).min(words.len()));
        }
        let Some(at) = words.iter().position(|word| word == "-j" || word == "-g") else {
            return Self { conditions: words, goes: false, target: String::new() };
        };
        let rest = words.split_off(at);
        Self { conditions: words, goes: rest[0] == "-g", target: rest.get(1).cloned().unwrap_or_default() }
    }

    fn is_end(&self) -> bool {
        self.goes || ENDS.contains(&self.target.as_str())
    }

    /// Whether no packet of its kinds goes past it.
    fn takes_all(&self) -> bool {
        let conditions: Vec<&str> = self.conditions.iter().map(String::as_str).collect();
        matches!(conditions[..], [] | ["-m", "physdev", BRIDGED])
    }

    /// The kinds of packets that it is for.
    fn packets(&self) -> Packets {
        let is_address = |words: &[String]| words[0] == "-d" && ["/32", "/128"].iter().any(|it| words[1].ends_with(it));
        if let Some(at) = self.conditions.iter().position(|word| word == BRIDGED) {
            let is_not = at > 0 && self.conditions[at - 1] == "!";
            Packets { bridged: !is_not, routed: is_not }
        } else if self.conditions.windows(2).any(is_address) {
            // So are interfaces found that are routed to.
            Packets { bridged: false, routed: true }
        } else {
            Packets::ALL
        }
    }
}

/// The words of a rule; one in quotes is one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        match c {
            c if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                let word = std::mem::take(&mut word);
                words.extend(Some(word).filter(|word| !word.is_empty()));
            }
            c => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: (bool, bool) = (true, true);
    const NONE: (bool, bool) = (false, false);
    const CALL: &str = "-m physdev --physdev-is-bridged -j opennebula";

    fn of(rules: &[&str]) -> ((bool, bool), Option<usize>) {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let Reach { packets, taken_by } = reach(&rules, "opennebula");
        ((packets.bridged, packets.routed), taken_by)
    }

    #[test]
    fn rules_lead_to_a_chain_unless_others_take_the_packets_before() {
        for (rules, expected) in [
            (&[][..], (NONE, None)),
            (&["-j opennebula"], (BOTH, None)),
            (&[CALL], ((true, false), None)),
            // What is behind it, and what is for some packets only, takes nothing from it.
            (&["-j opennebula", "-j DROP"], (BOTH, Some(2))),
            (&["-i docker0 -j ACCEPT", "-j DOCKER", "-p tcp -m tcp --dport 22 -j DROP", CALL], ((true, false), None)),
            (&["-j LOG", "-j MARK --set-xmark 0x1/0xffffffff", "-j opennebula"], (BOTH, None)),
            (&["-j LOG", "-j ACCEPT", "-j opennebula"], (NONE, Some(2))),
            (&["-j REJECT --reject-with icmp-port-unreachable", CALL], (NONE, Some(1))),
            (&["-g other", CALL], (NONE, Some(1))),
            (&["-m physdev  --physdev-is-bridged -j ACCEPT", "-j opennebula"], ((false, true), Some(1))),
            (&["-m physdev ! --physdev-is-bridged -j ACCEPT", CALL], ((true, false), None)),
            (&["-m physdev ! --physdev-is-bridged -j opennebula"], ((false, true), None)),
            (&["-d 10.0.0.1/32 -j opennebula"], ((false, true), None)),
            (&["-d 10.0.0.0/8 -j opennebula"], (BOTH, None)),
        ] {
            assert_eq!(of(rules), expected, "{rules:?}");
        }
    }

    #[test]
    fn comments_say_nothing() {
        assert_eq!(of(&["-m comment --comment \"all -j opennebula\" -j DROP", "-j opennebula"]), (NONE, Some(1)));
        assert_eq!(of(&["-m comment --comment \"a \\\" -j ACCEPT\" -j opennebula"]), (BOTH, None));
        assert_eq!(of(&["-m comment --comment -j -j opennebula"]), (BOTH, None));
        for odd in ["-m comment --comment", "-j", "\"", "-d", "-m comment --comment \"x"] {
            assert_eq!(of(&[odd, "-j opennebula"]).0, BOTH, "{odd}");
        }
    }
}

//! Words of a rule that would be several, or lines of their own in a transaction.

use containment_guests::{rule, tell, transact};
use remotes_sdk::Failure;
use remotes_sdk::iptables::{Chain, Change, Condition, Physdev, Ports, Target};

containment_guests::pre!(attack);

const WORDS: [&str; 7] = [
    "tcp\nCOMMIT\n*filter\n-A INPUT -j ACCEPT",
    "10.0.0.1 -j ACCEPT",
    "-j",
    "!",
    "$(id)",
    "10.0.0.1/32\0",
    "02:00:00:00:00:01 -j ACCEPT",
];

fn attack(_: &str) -> Result<(), Failure> {
    for word in WORDS {
        let physdev = |input, output| Condition::Physdev(Physdev { input, output, bridged: false });
        for condition in [
            Condition::FromNetwork(word.into()),
            Condition::ToNetwork(word.into()),
            Condition::Protocol(word.into()),
            Condition::NotFromMac(word.into()),
            physdev(Some(word.into()), None),
            physdev(None, Some(word.into())),
        ] {
            let rules = vec![rule(vec![condition], Target::Back)];
            tell(word, transact(Change::ReplaceChain(Chain { name: "one-5-0-i".into(), rules })));
        }
        tell(word, transact(Change::ReplaceChain(Chain { name: word.into(), rules: vec![] })));
        tell(word, transact(Change::ReplaceChain(Chain { name: format!("one-5 {word}"), rules: vec![] })));
    }
    let backwards = vec![Ports { first: 2, last: 1 }];
    let many = vec![Ports { first: 1, last: 9 }; 8];
    for ports in [backwards, many, vec![]] {
        let rules = vec![rule(vec![Condition::Protocol("tcp".into()), Condition::ToAnyPort(ports)], Target::Back)];
        tell("ports", transact(Change::ReplaceChain(Chain { name: "one-5-0-i".into(), rules })));
    }
    Ok(())
}

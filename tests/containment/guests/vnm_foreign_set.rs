//! Sets of others, and members that would be more than one line.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::iptables::{self, AddressSet, Family, SetKind, Transaction};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    let set = |name: &str, members: Vec<String>| Transaction {
        sets: vec![AddressSet {
            name: name.into(),
            kind: SetKind::HashNet,
            family: Family::Ipv4,
            max_members: None,
            members,
        }],
        tables: vec![],
        obsolete_sets: vec![],
    };
    for name in
        ["docker-set", "fail2ban", "", "-", "one-5\ndestroy", "one-5 hash:ip", "one-567890123456789012345678901234"]
    {
        let member = ["10.0.0.1".to_owned()];
        tell(name, iptables::apply(&set(name, member.to_vec())));
        tell(name, iptables::add_members(name, &member));
        tell(name, iptables::remove_members(name, &member));
    }
    for member in ["10.0.0.1\ndestroy docker-set", "10.0.0.1 timeout 1", "-exist", "", "10.0.0.1\0"] {
        tell(member, iptables::apply(&set("one-5-x", vec![member.into()])));
        tell(member, iptables::add_members("one-5-x", &["10.0.0.2".into(), member.into()]));
    }
    Ok(())
}

//! What holds by whichever way the network is changed, and how the way is chosen.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::links::{self, Bridge};
use remotes_effect::policy::Policy;
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::{Answer, Effect, filesystem, iptables, types};
use remotes_host::way::{Network, Ways};
use remotes_network_tests::scene::{GROUP, Machine};
use remotes_network_tests::{By, Case, Grounds, State, Sudo, assert_state, isolated, sh, skipped};

/// A running machine.
fn running(by: By) -> (Grounds, Machine) {
    let machine = Machine::new(7, "fw");
    sh("ip link add br0 type bridge; ip link set br0 up");
    machine.plug();
    let mut grounds = Grounds::by(by);
    grounds.domain(&machine.domain());
    (grounds, machine)
}

#[test]
fn post_restores_what_somebody_removed() {
    for by in By::ALL {
        for (name, damage) in [
            ("15-fw-post-net", "iptables -D opennebula 1; ip6tables -D opennebula 1"),
            ("15-fw-post-net", "iptables -F one-17-0-i; ip6tables -D one-17-0-o 2"),
            ("15-fw-post-net", "iptables -F; iptables -X"),
            ("18-fw-post-ipv6-net", "ip6tables -F; ip6tables -X"),
            ("18-fw-post-ipv6-net", "ip6tables -D FORWARD 1; ip6tables -D INPUT 1; ip6tables -D opennebula -j ACCEPT"),
            (
                "18-fw-post-ipv6-net",
                "for chain in $(ip6tables -S | sed -n 's/^-N \\(one-.*\\)/\\1/p'); do ip6tables -D $chain 2; done; \
                 for set in $(ipset list -name); do ipset flush $set; done",
            ),
        ] {
            isolated(move || {
                let case = Case::read(name).by(by);
                let mut grounds = case.prepare();
                for round in 0..2 {
                    let outcome = grounds.call(case.driver(), case.call());
                    assert!(matches!(outcome.result, Some(Ok(_))), "{by:?}: {outcome:?}");
                    if round == 0 {
                        sh(damage);
                        assert_ne!(State::now(), case.after(), "{damage} damages nothing");
                    }
                }
                assert_state(&State::now(), &case.after(), &format!("{by:?} after {damage}"));
            });
        }
    }
}

const REFUSED: &str = "<SECURITY_GROUP_RULE><PROTOCOL>nonsense</PROTOCOL><IP6>2001:db8::</IP6><SIZE>4</SIZE>\
    <RULE_TYPE>INBOUND</RULE_TYPE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";

#[test]
fn a_refused_rule_leaves_the_old_ones_in_force() {
    for by in By::ALL {
        isolated(move || {
            let (mut grounds, machine) = running(by);
            machine.act(&mut grounds, "post");
            let before = State::now();
            let bad = Machine { rules: format!("{GROUP}{REFUSED}"), ..machine };
            let outcome = grounds.call("fw", bad.call("update_sg"));
            assert!(matches!(outcome.result, Some(Err(_))), "{by:?}: {outcome:?}");
            assert_state(&State::now(), &before, &format!("{by:?}"));
        });
    }
}

#[test]
fn a_refused_rule_of_a_new_machine_closes_it() {
    for by in By::ALL {
        isolated(move || {
            let (mut grounds, machine) = running(by);
            let bad = Machine { rules: REFUSED.into(), ..machine };
            let outcome = grounds.call("fw", bad.call("post"));
            assert!(matches!(outcome.result, Some(Err(_))), "{by:?}: {outcome:?}");
            let now = State::now();
            for rules in [&now.iptables, &now.ip6tables] {
                assert!(rules.contains("-A one-7-0-i -j DROP\n-A one-7-0-o -j DROP\n"), "{by:?}: {rules}");
                assert!(rules.contains("--physdev-out one-7-0 --physdev-is-bridged -j one-7-0-i"), "{by:?}: {rules}");
            }
        });
    }
}

/// A machine's rules say the same of both families: what one has the other has, but for what only IPv6 needs.
#[test]
fn ipv6_is_as_complete_as_ipv4() {
    for by in By::ALL {
        isolated(move || {
            let (mut grounds, machine) = running(by);
            let rule = |kind: &str, network: &str, more: &str| {
                format!(
                    "<SECURITY_GROUP_RULE><RULE_TYPE>{kind}</RULE_TYPE>{more}{network}\
                     <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>"
                )
            };
            let both = |kind: &str, more: &str| {
                rule(kind, "<IP>10.0.0.0</IP><SIZE>16</SIZE>", more)
                    + &rule(kind, "<IP6>fd00::</IP6><SIZE>16</SIZE>", more)
            };
            let rules = [
                both("INBOUND", "<PROTOCOL>ALL</PROTOCOL>"),
                both("INBOUND", "<PROTOCOL>TCP</PROTOCOL>"),
                both("OUTBOUND", "<PROTOCOL>UDP</PROTOCOL><RANGE>53,100:200</RANGE>"),
                rule("OUTBOUND", "", "<PROTOCOL>TCP</PROTOCOL><RANGE>1:100,443</RANGE>"),
                rule("INBOUND", "", "<PROTOCOL>IPSEC</PROTOCOL>"),
            ];
            Machine { rules: rules.concat(), ..machine }.act(&mut grounds, "post");
            let now = State::now();
            let of = |rules: &str, only: &[&str]| -> Vec<String> {
                let own = |line: &&str| line.contains("one-7-0") && !only.iter().any(|word| line.contains(word));
                rules.lines().filter(own).map(|line| line.replace("inet6", "inet").replace("ip6-", "ip-")).collect()
            };
            let (ipv4, ipv6) = (of(&now.iptables, &["--dport 67"]), of(&now.ip6tables, &["--icmpv6-type"]));
            assert_eq!(ipv4, ipv6, "{by:?}");
            assert!(ipv4.len() >= 15, "{by:?}: {ipv4:?}");
            let members =
                |inet: &str| now.ipset.lines().filter(|line| line.starts_with("add") && line.contains(inet)).count();
            assert_eq!(members("10."), members("fd00:"), "{by:?}: {}", now.ipset);
        });
    }
}

/// What one effect comes to by these ways, and what was told.
fn effect(ways: Ways, policy: &str, effect: &Effect) -> (Result<Answer, Failure>, Vec<String>) {
    let policy = Policy::parse(&format!("schema = 1\n{policy}"), Path::new("policy.toml")).unwrap();
    let turns = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let mut network =
        Network::new(Arc::new(policy), Path::new("/nonexistent"), Deadline::after(Duration::from_secs(60)), Some(ways));
    let mut tell = |_, text: &str| told.push(text.to_owned());
    let answer = network.call(effect, turns.path(), &mut tell);
    // A second one has nothing more to tell.
    let _ = network.call(effect, turns.path(), &mut tell);
    (answer, told)
}

fn make(name: &str) -> Effect {
    Effect::Links(links::Effect::MakeBridge { bridge: Bridge { name: name.into(), settings: vec![] } })
}

const WIDE: &str = "[links]\nbridges = [\"**\"]\nuplinks = [\"**\"]\ndevices = [\"**\"]\nports = [\"**\"]\n";

fn there(name: &str) -> bool {
    State::now().links.contains_key(name)
}

#[test]
fn a_clients_policy_does_not_widen_what_root_allows() {
    isolated(|| {
        let sudo = Sudo::default().with_server();
        let (answer, told) = effect(sudo.ways(), WIDE, &make("docker0"));
        let failure = answer.unwrap().failure().unwrap().clone();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.message.starts_with("beyond root's bounds: links.make-bridge: bridge docker0"), "{failure}");
        // And it is no reason to try another way.
        assert_eq!((told, sudo.refused().as_str(), there("docker0")), (vec![], "", false));
        let (answer, _) = effect(sudo.ways(), WIDE, &make("onebr7"));
        assert_eq!(answer.unwrap().failure(), None);
        assert!(there("onebr7"));
    });
}

#[test]
fn roots_file_narrows_and_widens() {
    isolated(|| {
        let sudo = Sudo::default().with_server();
        let file = sudo.beside("remotes-net.toml");
        std::fs::write(&file, "schema = 1\n[links]\nbridges = [\"mybr*\"]\n").unwrap();
        let (answer, _) = effect(sudo.ways(), WIDE, &make("onebr7"));
        let message = answer.unwrap().failure().unwrap().message.clone();
        assert!(message.contains(&format!("in {} would allow it", file.display())), "{message}");
        let (answer, _) = effect(sudo.ways(), WIDE, &make("mybr7"));
        assert_eq!(answer.unwrap().failure(), None);
        // The client's own policy holds besides.
        let (answer, _) = effect(sudo.ways(), "[links]\nbridges = [\"other*\"]\n", &make("mybr8"));
        let failure = answer.unwrap().failure().unwrap().clone();
        assert!(failure.message.contains("the driver's policy would allow it"), "{failure}");
        assert!(there("mybr7") && !there("onebr7") && !there("mybr8"));
    });
}

#[test]
fn a_file_that_others_can_write_is_no_root_s() {
    isolated(|| {
        let sudo = Sudo::default().with_server();
        let file = sudo.beside("remotes-net.toml");
        std::fs::write(&file, "schema = 1\n[links]\nbridges = [\"**\"]\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        let (answer, told) = effect(sudo.ways(), WIDE, &make("onebr7"));
        assert_eq!(answer.unwrap().failure(), None);
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(told.contains("others can write it") && told.contains("slower"), "{told}");
    });
}

#[test]
fn without_a_rule_for_the_server_the_stock_rules_serve_and_the_log_says_so_once() {
    isolated(|| {
        let sudo = Sudo::default().with_server();
        std::fs::remove_file(sudo.beside("allowed")).unwrap();
        let (answer, told) = effect(sudo.ways(), WIDE, &make("onebr7"));
        assert_eq!(answer.unwrap().failure(), None);
        assert!(there("onebr7"));
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(told.contains("a password is required") && told.contains("doc/remotes/adoption.md"), "{told}");
        assert_eq!(std::fs::read_to_string(sudo.beside("refused-servers")).unwrap().lines().count(), 1);
    });
}

#[test]
fn without_sudo_the_failure_says_what_is_missing() {
    isolated(|| {
        let ways = Ways::by_sudo(PathBuf::from("/nonexistent/sudo"), vec![]);
        let (answer, _) = effect(ways, WIDE, &make("onebr7"));
        let failure = answer.unwrap().failure().unwrap().clone();
        assert!(failure.message.contains("/nonexistent/sudo"), "{failure}");
    });
}

#[test]
fn looking_needs_no_rights() {
    isolated(|| {
        sh("ip link add br0 type bridge");
        let ways = Ways::by_sudo(PathBuf::from("/nonexistent/sudo"), vec![]);
        let (answer, told) = effect(ways, WIDE, &Effect::Links(links::Effect::Entries {}));
        let Ok(Answer::Links(links::Answer::Entries(Ok(links)))) = answer else { panic!("{answer:?}") };
        assert!(links.iter().any(|link| link.name == "br0" && link.kind == "bridge"), "{links:?}");
        assert_eq!(told, [""; 0]);
    });
}

#[test]
fn what_changing_would_cost_is_not_told_to_one_who_looks() {
    isolated(|| {
        let sudo = Sudo::default();
        let chains = iptables::Effect::Chains { family: iptables::Family::Ipv4, beginning: "one-".into() };
        let (answer, told) = effect(sudo.ways(), "[iptables]\nchains = [\"one-*\"]\n", &Effect::Iptables(chains));
        assert_eq!(answer.unwrap().failure(), None);
        assert_eq!(told, [""; 0]);
    });
}

#[test]
fn the_server_carries_out_nothing_else() {
    isolated(|| {
        let sudo = Sudo::default().with_server();
        let place = |path: &str| types::Place { on: types::Node::Here, path: path.into() };
        let write = filesystem::Effect::Remove { at: place("/etc/passwd"), recursive: true };
        let (answer, _) = effect(sudo.ways(), "[paths]\n\"/etc\" = \"rw\"\n", &Effect::Filesystem(write));
        let failure = answer.unwrap().failure().unwrap().clone();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.message.contains("effects on the network only"), "{failure}");
        assert!(Path::new("/etc/passwd").is_file());
    });
}

/// As root asks it for root: what it lets others do is its own matter, and `visudo -c`'s.
#[test]
fn the_real_sudo_starts_the_server() {
    let sudo = PathBuf::from("/usr/bin/sudo");
    if !sudo.is_file() {
        return skipped("sudo is not installed; `make setup` does it");
    }
    isolated(move || {
        let server = Sudo::default().with_server();
        let (answer, told) = effect(Ways::by_sudo(sudo, vec![server.server()]), WIDE, &make("onebr7"));
        assert_eq!(answer.unwrap().failure(), None);
        assert_eq!(told, [""; 0]);
        assert!(there("onebr7"));
    });
}

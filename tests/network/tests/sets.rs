//! Sets of addresses that cannot be added to as they are: of another size, or without room for old and new
//! members at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Grounds, State, act, assert_state, isolated, sh};
use serde_json::json;

fn rule(ip: &str, size: u32, range: &str) -> String {
    format!(
        "<SECURITY_GROUP_RULE><PROTOCOL>TCP</PROTOCOL><RULE_TYPE>INBOUND</RULE_TYPE>{range}<IP>{ip}</IP>\
        <SIZE>{size}</SIZE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>"
    )
}

/// A machine with one rule of a network and `ports` ports, in sets of `most` members, and a set of networks.
fn machine(ip: &str, ports: u16, most: u32) -> Machine {
    let range = format!("<RANGE>1000:{}</RANGE>", 999 + ports);
    Machine {
        rules: rule(ip, 1, &range) + &rule(ip, 3, ""),
        more: format!("<CONF>ipset_maxelem={most}</CONF>"),
        ..Machine::new(7, "fw")
    }
}

fn host(by: By) -> Grounds {
    let machine = machine("10.0.0.1", 1, 1);
    sh("ip link add br0 type bridge; ip link set br0 up");
    machine.plug();
    let mut grounds = Grounds::by(by);
    grounds.domain(&machine.domain());
    grounds
}

/// What a machine's rules come to where it had none.
fn fresh(machine: &Machine) -> State {
    let (machine, (send, receive)) = (machine.clone(), std::sync::mpsc::channel());
    isolated(move || {
        machine.act(&mut host(By::Own), "post");
        send.send(State::now()).unwrap();
    });
    receive.recv().unwrap()
}

/// Which machine becomes which.
fn changes() -> [(&'static str, Machine, Machine); 4] {
    [
        ("a larger set", machine("10.0.0.1", 40, 50), machine("10.0.0.1", 60, 100)),
        ("a smaller set", machine("10.0.0.1", 60, 100), machine("10.0.0.1", 40, 50)),
        ("other members of a full set", machine("10.0.0.1", 50, 50), machine("10.0.0.2", 50, 50)),
        ("all at once", machine("10.0.0.1", 50, 50), machine("10.0.0.2", 60, 60)),
    ]
}

/// The rules from before look into the sets: a network that only the refused rules name must not get in by them.
#[test]
fn a_refused_change_leaves_the_sets_as_they_were() {
    const REFUSED: &str = "<SECURITY_GROUP_RULE><PROTOCOL>nonsense</PROTOCOL><IP6>2001:db8::</IP6><SIZE>4</SIZE>\
        <RULE_TYPE>INBOUND</RULE_TYPE><SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";
    for by in By::ALL {
        for (what, before, after) in changes() {
            isolated(move || {
                let mut grounds = host(by);
                before.act(&mut grounds, "post");
                // Of another kind than those that drivers make.
                sh("ipset add one-7-0-0-i-tcp-n-inet 10.9.0.0/16,tcp:1 nomatch 2>/dev/null || true");
                let was = State::now();
                let more = rule("10.4.0.0", 4, "<RANGE>7</RANGE>") + REFUSED;
                let refused = Machine { rules: after.rules.clone() + &more, ..after };
                let outcome = grounds.call("fw", refused.call("update_sg"));
                assert!(matches!(outcome.result, Some(Err(_))), "{by:?}, {what}: {outcome:?}");
                assert_state(&State::now(), &was, &format!("{by:?}, {what}"));
                // A machine that had nothing has nothing but what closes it.
                before.act(&mut grounds, "clean");
                sh("ip link show br0 >/dev/null 2>&1 || ip link add br0 type bridge; ip link set br0 up");
                before.plug();
                let outcome = grounds.call("fw", refused.call("post"));
                assert!(matches!(outcome.result, Some(Err(_))), "{by:?}, {what}: {outcome:?}");
                assert_eq!(State::now().ipset, "", "{by:?}, {what}");
            });
        }
    }
}

#[test]
fn sets_follow_their_size_and_exchange_all_their_members() {
    for (what, before, after) in changes() {
        let expected = fresh(&after);
        assert!(expected.ipset.contains(" maxelem "), "{}", expected.ipset);
        for by in By::ALL {
            let (before, after, expected) = (before.clone(), after.clone(), expected.clone());
            isolated(move || {
                let mut grounds = host(by);
                before.act(&mut grounds, "post");
                for action in ["update_sg", "post"] {
                    after.act(&mut grounds, action);
                    assert_state(&State::now(), &expected, &format!("{what}, {by:?}, {action}"));
                }
            });
        }
    }
}

/// Kills and repeats; the end is as if nothing had happened.
#[test]
fn killed_before_any_command_it_is_done_by_the_next_one() {
    for (what, before, after) in changes() {
        let expected = fresh(&after);
        for left in 0.. {
            let (before, after, expected) = (before.clone(), after.clone(), expected.clone());
            let (send, receive) = std::sync::mpsc::channel();
            isolated(move || {
                let mut grounds = host(By::Stock);
                before.act(&mut grounds, "post");
                let locks = tempfile::tempdir().unwrap();
                let ended = killed(&mut grounds, locks.path(), &after, left);
                after.act(&mut grounds, "update_sg");
                assert_state(&State::now(), &expected, &format!("{what}, killed before command {left}"));
                send.send(ended).unwrap();
            });
            if receive.recv().unwrap_or(true) {
                println!("{what}: {left} kills at {left} commands");
                break;
            }
        }
    }
}

/// Has a process change the machine's groups, to be killed after so many commands; whether it came to its end.
fn killed(grounds: &mut Grounds, locks: &Path, machine: &Machine, left: u32) -> bool {
    let case = tempfile::tempdir().unwrap();
    let domain = json!({"virsh": {"replies": [{"args": "dumpxml", "stdout": machine.domain()}]}});
    let input = json!({"driver": "fw", "action": "update_sg", "argv": ["one-7"], "shims": domain});
    for (name, text) in
        [("input.json", input.to_string()), ("vm.xml", machine.document()), ("OpenNebulaNetwork.conf", String::new())]
    {
        std::fs::write(case.path().join(name), text).unwrap();
    }
    grounds.share(locks);
    let doom = grounds.sudo().unwrap().beside("kill-after");
    std::fs::write(&doom, left.to_string()).unwrap();
    let status = act(case.path(), By::Stock, locks, grounds.sudo()).status().unwrap();
    std::fs::remove_file(&doom).unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "{status}");
    status.success()
}

/// What an action left that was killed while a set was being filled: of another kind, size and family.
#[test]
fn a_set_that_was_left_half_full_is_in_nobodys_way() {
    let after = machine("10.0.0.2", 50, 50);
    let expected = fresh(&after);
    for left in ["hash:ip family inet6", "hash:net,port family inet maxelem 3", "hash:net family inet"] {
        let (after, expected) = (after.clone(), expected.clone());
        isolated(move || {
            let mut grounds = host(By::Own);
            machine("10.0.0.1", 50, 50).act(&mut grounds, "post");
            sh(&format!("ipset create one-7-0-spare {left}"));
            after.act(&mut grounds, "update_sg");
            assert_state(&State::now(), &expected, left);
        });
    }
}

/// What would not fit is said before anything has changed.
#[test]
fn members_that_do_not_fit_leave_the_old_ones_in_force() {
    for by in By::ALL {
        for after in [machine("10.0.0.2", 51, 50), machine("10.0.0.2", 60, 40)] {
            isolated(move || {
                let mut grounds = host(by);
                machine("10.0.0.1", 50, 50).act(&mut grounds, "post");
                let before = State::now();
                let outcome = grounds.call("fw", after.call("update_sg"));
                let Some(Err(failure)) = outcome.result else { panic!("{outcome:?}") };
                assert!(failure.message.contains("Hash is full"), "{failure}");
                let now = State::now();
                assert_eq!((now.iptables, now.ip6tables), (before.iptables, before.ip6tables), "{by:?}");
                let old =
                    before.ipset.lines().filter(|line| line.contains("-nr-")).all(|line| now.ipset.contains(line));
                assert!(old, "{by:?}: {}", now.ipset);
                machine("10.0.0.1", 50, 50).act(&mut grounds, "update_sg");
                assert_eq!(State::now().ipset, before.ipset, "{by:?}");
            });
        }
    }
}

//! Many actions at once on one host, and actions that are killed at any moment.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use remotes_network_tests::scene::{GROUP, Machine};
use remotes_network_tests::{By, Case, Grounds, State, act, assert_state, isolated, sh, together};

/// What is going on with a machine.
#[derive(Clone, Copy)]
enum Matter {
    Deploy,
    AttachSecond,
    DetachSecond,
    Shutdown,
    ChangeGroup,
}

impl Matter {
    fn of(vm: u32) -> Self {
        [Self::Deploy, Self::AttachSecond, Self::DetachSecond, Self::Shutdown, Self::ChangeGroup][vm as usize % 5]
    }

    /// Before it begins.
    fn prepare(self, vm: u32, grounds: &mut Grounds) {
        let before = match self {
            Self::Deploy => return,
            Self::AttachSecond | Self::Shutdown | Self::ChangeGroup => Machine::new(vm, "fw"),
            Self::DetachSecond => Machine::new(vm, "fw").nics(2),
        };
        grounds.domain(&before.domain());
        before.act(grounds, "pre");
        before.plug();
        before.act(grounds, "post");
    }

    fn happen(self, vm: u32, grounds: &mut Grounds) {
        let (one, two) = (Machine::new(vm, "fw"), Machine::new(vm, "fw").nics(2));
        grounds.domain(&two.domain());
        match self {
            Self::Deploy => {
                one.act(grounds, "pre");
                one.plug();
                one.act(grounds, "post");
            }
            Self::AttachSecond => {
                let attaching = two.attaching(1);
                attaching.act(grounds, "pre");
                attaching.plug();
                attaching.act(grounds, "post");
            }
            Self::DetachSecond => {
                two.unplug(1);
                two.attaching(1).act(grounds, "clean");
            }
            Self::Shutdown => {
                one.unplug(0);
                one.act(grounds, "clean");
            }
            Self::ChangeGroup => {
                Machine { rules: GROUP.replace("22,80:90", "443,8000:8010"), ..one }.act(grounds, "update_sg");
            }
        }
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The state without the order of what came in another order.
fn unordered(state: &State) -> (Vec<String>, Vec<String>, Vec<String>, Vec<String>) {
    let links = state.links.values().map(ToString::to_string).collect();
    (sorted(&state.iptables), sorted(&state.ip6tables), sorted(&state.ipset), links)
}

/// A host on which each machine waits for what is going to happen to it.
fn host(by: By, vms: &[u32]) -> Grounds {
    // Somebody's machine is there all the time, so that the bridge is.
    sh(
        "ip link add br0 type bridge; ip link set br0 up; ip tuntap add dev one-1-0 mode tap; ip link set one-1-0 master br0 up",
    );
    let host = Grounds::by(by);
    for vm in vms {
        // What was before is no matter of this test: the quickest way.
        Matter::of(*vm).prepare(*vm, &mut Grounds::default());
    }
    host
}

fn at_once(by: By, count: u32) {
    isolated(move || {
        let vms: Vec<u32> = (100..100 + count).collect();
        let (vms_then, first) = (vms.clone(), std::sync::Arc::new(std::sync::Mutex::new(None)));
        let kept = first.clone();
        isolated(move || {
            let mut grounds = host(By::Own, &vms_then);
            vms_then.iter().for_each(|vm| Matter::of(*vm).happen(*vm, &mut grounds));
            *kept.lock().unwrap() = Some(State::now());
        });
        let serial = first.lock().unwrap().take().unwrap();
        let host = host(by, &vms);
        let start = |vm: &u32| {
            let (vm, mut grounds) = (*vm, host.beside());
            Box::new(move || Matter::of(vm).happen(vm, &mut grounds)) as Box<dyn FnOnce() + Send>
        };
        together(vms.iter().map(start).collect());
        assert_eq!(unordered(&State::now()), unordered(&serial), "{by:?}");
        host.assert_unlocked();
        // Whoever is last turns the light off.
        let mut grounds = host.beside();
        for vm in &vms {
            let machine = Machine::new(*vm, "fw").nics(2);
            sh(&format!("for n in 0 1; do ip link del one-{vm}-$n 2>/dev/null; done; true"));
            machine.act(&mut grounds, "clean");
        }
        let empty = State::now();
        assert!(!empty.iptables.contains("one-") && !empty.ip6tables.contains("one-"), "{}", empty.iptables);
        assert_eq!(empty.ipset, "");
    });
}

#[test]
fn fifty_at_once_end_as_one_after_the_other() {
    at_once(By::Own, 50);
}

#[test]
fn fifty_at_once_through_roots_server() {
    at_once(By::Server, 50);
}

#[test]
fn fifteen_at_once_command_by_command() {
    at_once(By::Stock, 15);
}

/// A machine on a bridge that it shares with others, and that goes with the last of them.
fn sharing(vm: u32, driver: &'static str) -> Machine {
    let more = "<PHYDEV>eth1</PHYDEV><VLAN_ID>77</VLAN_ID>".to_owned();
    Machine { bridge: "onebr5", more, ..Machine::new(vm, driver) }
}

/// What machines share is made by all at once, removed by all at once, and both at once.
fn made_and_removed_at_once(driver: &'static str, by: By, count: u32) {
    isolated(move || {
        sh("ip link add eth1 type veth peer name peer1; ip link set eth1 up; ip link set peer1 up");
        let nothing = State::now().links;
        sharing(1, driver).act(&mut Grounds::default(), "pre");
        let made = State::now().links;
        sharing(1, driver).act(&mut Grounds::default(), "clean");
        assert_eq!(State::now().links, nothing);
        let host = Grounds::by(by);
        let at_once = |actions: Vec<(u32, &'static str)>| {
            let start = |(vm, action): (u32, &'static str)| {
                let mut grounds = host.beside();
                Box::new(move || sharing(vm, driver).act(&mut grounds, action)) as Box<dyn FnOnce() + Send>
            };
            together(actions.into_iter().map(start).collect());
            State::now().links
        };
        let all = 100..100 + count;
        let (first, second) = (100..100 + count / 2, 100 + count / 2..100 + count);
        for round in 0..3 {
            assert_eq!(at_once(all.clone().map(|vm| (vm, "pre")).collect()), made, "{by:?}, round {round}");
            // The last of some go while others come: who is last decides, and nothing is there by half.
            let pairs = first.clone().zip(second.clone());
            let links = at_once(pairs.flat_map(|(gone, new)| [(gone, "clean"), (new, "pre")]).collect());
            assert!(links == made || links == nothing, "{by:?}, round {round}: {links:#?}");
        }
        assert_eq!(at_once(second.clone().map(|vm| (vm, "pre")).collect()), made, "{by:?}");
        second.clone().for_each(|vm| sharing(vm, driver).plug());
        let used = State::now().links;
        assert_eq!(at_once(first.map(|vm| (vm, "clean")).collect()), used, "{by:?}: somebody is there");
        second.for_each(|vm| sharing(vm, driver).unplug(0));
        assert_eq!(at_once(all.map(|vm| (vm, "clean")).collect()), nothing, "{by:?}");
        host.assert_unlocked();
    });
}

#[test]
fn fifty_make_and_remove_what_they_share() {
    made_and_removed_at_once("vxlan", By::Own, 50);
    made_and_removed_at_once("bridge", By::Own, 50);
}

#[test]
fn fifty_make_and_remove_what_they_share_through_roots_server() {
    made_and_removed_at_once("vxlan", By::Server, 50);
}

#[test]
fn twelve_make_and_remove_what_they_share_command_by_command() {
    made_and_removed_at_once("vxlan", By::Stock, 12);
}

/// Killed at no particular moment, and called again at once: what its programs were still at is waited for.
fn killed(name: &'static str, by: By) {
    for round in 0..25_u64 {
        isolated(move || {
            let case = Case::read(name).by(by);
            let mut grounds = case.prepare();
            let locks = tempfile::tempdir().unwrap();
            grounds.share(locks.path());
            let mut child = act(name, by, locks.path(), grounds.sudo()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(1 + round * 3));
            child.kill().unwrap();
            child.wait().unwrap();
            let again = grounds.call(case.driver(), case.call());
            assert!(matches!(again.result, Some(Ok(_))), "{name} {by:?}: {again:?}");
            assert_state(&State::now(), &case.after(), &format!("{name} {by:?}, killed in round {round}"));
            grounds.assert_unlocked();
        });
    }
}

#[test]
fn killed_at_any_moment_with_own_rights() {
    killed("15-fw-post-net", By::Own);
    killed("28-fw-clean-last", By::Own);
}

#[test]
fn killed_at_any_moment_with_roots_server() {
    killed("22-fw-post-two-nics", By::Server);
    killed("39-vxlan-clean-last", By::Server);
}

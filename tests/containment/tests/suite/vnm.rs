//! Network drivers that reach for chains, bridges, links and sets that are not OpenNebula's: each on a real
//! network of its own, under the policy that such drivers have, and once more under one that grants everything,
//! through root's effect server.

use std::time::Duration;

use remotes_containment::guest::{
    Guest, VNM_DISGUISED_LINK, VNM_FOREIGN_BRIDGE, VNM_FOREIGN_CHAIN, VNM_FOREIGN_HOOK, VNM_FOREIGN_JUMP,
    VNM_FOREIGN_LINK, VNM_FOREIGN_LOCK, VNM_FOREIGN_PORT, VNM_FOREIGN_PROXY, VNM_FOREIGN_ROUTE, VNM_FOREIGN_SET,
    VNM_FOREIGN_UPLINK, VNM_FOREIGN_VLANS, VNM_LINK_NAMES, VNM_LINK_SETTINGS, VNM_MACHINES, VNM_OPENED_HOST,
    VNM_PORT_FORWARDING, VNM_PROXY_INJECTION, VNM_RULE_INJECTION, VNM_SYSTEM_RULES, VNM_WIDE_REMOVAL,
};
use remotes_containment::{Ended, Grounds, Trial};
use remotes_effect::deadline::Deadline;
use remotes_effect::libvirt::State as DomainState;
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::{Answer, Effect, Executor};
use remotes_net::{Bounds, Server};
use remotes_network::privileged::Privileged;
use remotes_network_tests::{State, isolated, sh};
use remotes_simulation::Simulation;

/// What comes with the drivers.
const USUAL: &str = "hooks = [\"pre\"]\nlocks = [\"vnmmad::*\"]\n[links]\nbridges = [\"onebr*\", \"br[0-9]*\"]\n\
    uplinks = [\"eth*\"]\ndevices = [\"eth*.*\"]\nports = [\"one-*\"]\nnetworks = [\"10.0.0.0/8\"]\n\
    [iptables]\nchains = [\"one-*\"]\nshared = [\"opennebula\"]\ncallers = [\"FORWARD\", \"INPUT\"]\nsets = [\"one-*\"]\n\
    ports = [\"one-*\"]\nnetworks = [\"10.0.0.0/8\"]\n[tproxy]\nbridges = [\"onebr*\", \"br[0-9]*\"]\n\
    uplinks = [\"eth*\"]\nnames = [\"*\"]\nnetworks = [\"0.0.0.0/0\"]\n";

/// What a careless operator, or whoever has taken over the runtime's user, would grant.
const EVERYTHING: &str = "[links]\nbridges = [\"**\"]\nuplinks = [\"**\"]\ndevices = [\"**\"]\nports = [\"**\"]\n\
    networks = [\"0.0.0.0/0\", \"::/0\"]\n[iptables]\nchains = [\"**\"]\nshared = [\"opennebula\"]\n\
    callers = [\"FORWARD\", \"INPUT\", \"OUTPUT\", \"DOCKER\"]\nsets = [\"**\"]\nports = [\"**\"]\n\
    networks = [\"0.0.0.0/0\", \"::/0\"]\nport-forwarding = [\"1:65535\"]\nforwarded = [\"0.0.0.0/0\", \"::/0\"]\n[tproxy]\nbridges = [\"**\"]\nuplinks = [\"**\"]\n\
    names = [\"**\"]\nnetworks = [\"0.0.0.0/0\", \"::/0\"]\nprogram = \"/bin/sh\"\n";

/// A host that others use as well.
fn others() {
    sh("ip link add docker0 type bridge; ip link set docker0 up
        ip link add br0 type bridge; ip link set br0 up
        for tap in one-8-0 one-5-0 vnet3 eth1.9 br9; do ip tuntap add dev $tap mode tap; done
        ip link set one-8-0 master br0; ip link set vnet3 master br0
        ip link add eth1 type veth peer name veth1a2b; ip link add wg0 type veth peer name wg0p
        iptables -N DOCKER; iptables -A DOCKER -s 172.17.0.2 -j ACCEPT; iptables -A FORWARD -j DOCKER
        iptables -A INPUT -p tcp --dport 22 -j ACCEPT; ip6tables -A INPUT -p tcp --dport 22 -j ACCEPT
        iptables -N opennebula; iptables -A opennebula -j ACCEPT; iptables -A FORWARD -j opennebula
        iptables -t nat -N DOCKER; iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
        iptables -N one-5-0-o; iptables -A one-5-0-o -j DROP
        ipset create docker-set hash:net; ipset add docker-set 172.17.0.0/16; ipset create one-5-x hash:net");
}

fn network() -> (State, String) {
    (
        State::now(),
        sh("ip route show table all; ip -6 route show table all; ip neighbour show proxy; ip -6 neighbour show proxy"),
    )
}

/// The refusals of all that was asked of the network; the journal has every one.
fn refusals<E>(ended: &Ended<E>) -> Vec<(&'static str, Failure)> {
    ended.assert_done();
    let mut refusals = Vec::new();
    for entry in ended.journal.entries.iter().filter(|entry| !matches!(entry.effect, Effect::Log(_))) {
        let failure = entry.answer.as_ref().and_then(Answer::failure);
        let failure = failure.unwrap_or_else(|| panic!("{:?} was not refused: {:?}", entry.effect, entry.answer));
        assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid), "{:?}: {failure:?}", entry.effect);
        refusals.push((entry.effect.name(), failure.clone()));
    }
    refusals
}

/// Tries the guest on a host of others: everything is refused, each of these words says why at least once, and
/// nothing has changed.
fn attempt(guest: Guest, attempts: usize, words: &'static [&'static str]) {
    isolated(move || {
        others();
        let before = network();
        let grounds = Grounds::new();
        let locks = grounds.path("tree");
        let trial = Trial::of(guest).granting(USUAL).pre();
        let ended = trial.made(|policy, deadline| {
            grounds.machine(policy, deadline).with_lock_directory(locks).with_actions(grounds.path("granted"))
        });
        let refused = refusals(&ended);
        assert_eq!(refused.len(), attempts, "{refused:?}");
        for word in words {
            assert!(refused.iter().any(|(_, failure)| failure.message.contains(word)), "{word}: {refused:?}");
        }
        assert_eq!(network(), before);
    });
}

/// The same by a client that grants itself everything, and by one that does not even ask its own policy.
fn bounded(guest: Guest, attempts: usize) {
    isolated(move || {
        others();
        let before = network();
        let grounds = Grounds::new();
        let server = |deadline| {
            let bounds = Bounds::read(&grounds.path("no-such-file")).unwrap();
            Server::new(bounds, Privileged::own(deadline), grounds.root().to_owned())
        };
        let ended = Trial::of(guest).granting(EVERYTHING).pre().made(|_, deadline| server(deadline));
        assert_eq!(refusals(&ended).len(), attempts);
        let mut server = server(Deadline::after(Duration::from_secs(60)));
        for entry in ended.journal.entries.iter().filter(|entry| !matches!(entry.effect, Effect::Log(_))) {
            let answer = server.execute(&entry.effect);
            let failure = answer.failure().unwrap_or_else(|| panic!("{:?} was not refused: {answer:?}", entry.effect));
            let kernels = guest.name() == VNM_DISGUISED_LINK.name();
            let root = failure.message.starts_with("beyond root's bounds: ");
            assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid) && root != kernels, "{failure}");
        }
        assert_eq!(network(), before);
    });
}

macro_rules! network_guests {
    ($($name:ident $guest:ident $attempts:literal [$($word:literal),*],)*) => {
        $(#[test] pub fn $name() { attempt($guest, $attempts, &[$($word),*]); })*

        mod through_root {
            use super::*;
            $(#[test] fn $name() { bounded($guest, $attempts); })*
        }
    };
}

network_guests! {
    vnm_foreign_bridge VNM_FOREIGN_BRIDGE 24 ["bridge docker0: granted are", "`bridges` under [links]"],
    vnm_foreign_link VNM_FOREIGN_LINK 20 ["`devices` under [links]", "`uplinks` under [links]"],
    vnm_disguised_link VNM_DISGUISED_LINK 2 ["is of kind \"tun\"; drivers remove only", "expected a bridge"],
    vnm_foreign_port VNM_FOREIGN_PORT 2 ["uplink one-8-0: granted are", "uplink vnet3"],
    vnm_foreign_uplink VNM_FOREIGN_UPLINK 20 ["uplink docker0", "device wg1", "expected a multicast address"],
    vnm_link_names VNM_LINK_NAMES 96 ["link \"-batch\"", "expected 1 to 15 letters"],
    vnm_link_settings VNM_LINK_SETTINGS 36 ["no option of a bridge", "no option of a vxlan", "is no value of it"],
    vnm_foreign_vlans VNM_FOREIGN_VLANS 15 ["port docker0: granted are", "`ports` under [links]"],
    vnm_foreign_route VNM_FOREIGN_ROUTE 38 ["198.51.100.7: granted are single addresses", "bridge eth1"],
    vnm_foreign_chain VNM_FOREIGN_CHAIN 32 ["chain DOCKER: granted are one-*", "chain INPUT", "chain opennebula", "`callers`"],
    vnm_wide_removal VNM_WIDE_REMOVAL 16 ["chain one: granted are", "set one: granted are"],
    vnm_system_rules VNM_SYSTEM_RULES 216 ["a rule there may only lead to", "names a port of a bridge", "is its last rule"],
    vnm_opened_host VNM_OPENED_HOST 20 ["is the last rule of FORWARD", "names a port of a bridge", "drops packets or gives"],
    vnm_foreign_jump VNM_FOREIGN_JUMP 11 ["chain DOCKER", "set docker-set", "belongs into table nat"],
    vnm_rule_injection VNM_RULE_INJECTION 59 ["expected 1 to 20 letters", "expected six pairs", "a rule has 1 to 15 ports"],
    vnm_port_forwarding VNM_PORT_FORWARDING 21 ["table nat: only filter is granted", "`port-forwarding`"],
    vnm_foreign_proxy VNM_FOREIGN_PROXY 27 ["`bridges` under [tproxy]", "`uplinks` under [tproxy]", "has 15 characters"],
    vnm_proxy_injection VNM_PROXY_INJECTION 19 ["expected an IPv4 address", "there is another one at port 5030", "host \"-x\""],
    vnm_foreign_set VNM_FOREIGN_SET 31 ["set docker-set: granted are", "member of a set"],
}

#[test]
pub fn vnm_foreign_hook() {
    attempt(VNM_FOREIGN_HOOK, 20, &["hooks of \"clean\"", "expected the name of a file", "has a NUL"]);
}

#[test]
pub fn vnm_foreign_lock() {
    attempt(VNM_FOREIGN_LOCK, 18, &["lock vlantagdriver: granted are", "expected 1 to 64 letters"]);
}

/// It may look at the machine, and nothing it does to it happens.
#[test]
pub fn vnm_machines() {
    const MACHINE: &str = "<domain type='kvm'><name>one-8</name><memory>1</memory></domain>";
    let grant = "[libvirt]\nuris = [\"qemu:///system\"]\ndomains = [\"one-*\"]\naccess = \"look\"\n";
    let before = Simulation::new().domain(MACHINE, DomainState::Running);
    let ended = Trial::of(VNM_MACHINES).granting(&format!("{USUAL}{grant}")).pre().on(before.clone());
    ended.assert_done();
    let changes = ended.journal.entries.iter().filter(|entry| entry.effect.changes()).count();
    assert_eq!(changes, 7);
    for entry in ended.journal.entries.iter().filter(|entry| entry.effect.changes()) {
        let failure = entry.answer.as_ref().and_then(Answer::failure).unwrap();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        assert!(failure.message.contains("`access = \""), "{failure:?}");
    }
    assert!(ended.journal.failures("libvirt.find").is_empty());
    assert_eq!(ended.executor.here, before.here);
}

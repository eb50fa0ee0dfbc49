//! Recorded cases with links that this kernel does not have: the links are simulated, and the changes
//! compared with the commands that the stock drivers gave. Rules are real.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::links::{Effect, Setting};
use remotes_effect::vnm::Call;
use remotes_network_tests::{Case, Grounds, State, isolated};
use remotes_simulation::Network;

fn network(case: &Case) -> Network {
    let mut network = Network::default().link("eth1", "", None);
    network.links[0].mtu = 9000;
    for (bridge, _) in case.links("link show type bridge") {
        network = network.link(&bridge, "bridge", None);
        for (port, lower) in case.links(&format!("link show master {bridge}")) {
            network = network.link(&port, if lower.is_some() { "vlan" } else { "tun" }, Some(&bridge));
            network.links.last_mut().unwrap().lower = lower;
        }
    }
    // What the stock driver was not told of because it did not ask.
    for (name, kind) in [("br0", "bridge"), ("one-1-0", "tun")] {
        if case.driver() == "bridge" && network.links.iter().all(|link| link.name != name) {
            network = network.link(name, kind, None);
        }
    }
    network
}

fn options(settings: &[Setting]) -> String {
    settings
        .iter()
        .map(|setting| format!(" {} {}", setting.name, setting.value.as_deref().unwrap_or_default()))
        .collect()
}

/// The commands that a change stands for.
fn commands(effect: &Effect) -> Vec<String> {
    match effect {
        Effect::MakeBridge { bridge } => vec![
            format!("ip link add name {} type bridge{}", bridge.name, options(&bridge.settings)),
            format!("ip link set {} up", bridge.name),
        ],
        Effect::MakeVlan { vlan } => {
            let mtu = vlan.mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
            let made = format!("ip link add link {} name {}{mtu} type vlan id {}", vlan.lower, vlan.name, vlan.id);
            vec![made + &options(&vlan.settings), format!("ip link set {} up", vlan.name)]
        }
        Effect::SetMaster { name, master: Some(master) } => vec![format!("ip link set {name} master {master}")],
        Effect::Remove { name } | Effect::RemoveUnusedBridge { name, .. } => vec![format!("ip link delete {name}")],
        Effect::FilterVlans { bridge } => vec![format!("ip link set dev {bridge} type bridge vlan_filtering 1")],
        Effect::AddVlans { vlans } => {
            let native = |pvid| if pvid { " pvid untagged" } else { "" };
            vlans.iter().map(|it| format!("bridge vlan add dev {} vid {}{}", it.port, it.id, native(it.pvid))).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn replay(name: &str) {
    let case = Case::read(name);
    let mut grounds = case.prepare();
    grounds.simulate_links(network(&case));
    let outcome = grounds.call(case.driver(), case.call());
    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
    let recorded = case.text("after/commands.txt");
    let recorded = recorded.lines().filter_map(|line| line.strip_prefix("sudo "));
    let mut recorded: Vec<&str> =
        recorded.filter(|line| line.starts_with("ip ") || line.starts_with("bridge ")).collect();
    let given: Vec<String> = outcome.links.iter().flat_map(commands).collect();
    let mut given: Vec<&str> = given.iter().map(|line| line.trim_end()).collect();
    // Which of a bridge and its device goes first does not matter afterwards.
    if name.contains("clean") {
        recorded.sort_unstable();
        given.sort_unstable();
    }
    assert_eq!(given, recorded);
    let (now, after) = (State::now(), case.after());
    assert_eq!((now.iptables, now.ip6tables, now.ipset), (after.iptables, after.ip6tables, after.ipset));
}

macro_rules! cases {
    ($($test:ident $name:literal,)*) => { $(#[test] fn $test() { isolated(|| replay($name)); })* };
}

cases! {
    bridge_post_vlan_trunk "07-bridge-post-vlan-trunk",
    vlan_pre "43-8021q-pre",
    vlan_pre_second_vm "44-8021q-pre-second-vm",
    vlan_pre_link_conf "45-8021q-pre-link-conf",
    vlan_clean_last "46-8021q-clean-last",
    vlan_post_cvlans "47-8021q-post-cvlans",
    vlan_update_nic "48-8021q-update-nic",
}

const MACHINE: &str = "<VM><ID>1</ID><DEPLOY_ID>one-1</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY>\
    </HISTORY_RECORDS><TEMPLATE><NIC><NIC_ID>0</NIC_ID><VN_MAD>802.1Q</VN_MAD><NETWORK_ID>4</NETWORK_ID><BRIDGE>br0</BRIDGE>\
    <PHYDEV>eth1</PHYDEV><VLAN_ID>100</VLAN_ID><CVLANS>5-6</CVLANS><MAC>02:00:0a:00:00:01</MAC></NIC>";

/// Changes of VLANs on a bridge that has a transparent proxy, as commands.
fn vlans_with_a_proxy(driver: &str, call: Call) -> Vec<String> {
    let mut grounds = Grounds::default();
    let network = Network::default().link("eth1", "", None).link("br0", "bridge", None);
    let network = network.link("eth1.100", "vlan", Some("br0")).link("one-1-0", "tun", Some("br0"));
    grounds.simulate_links(network.link("br0b", "veth", Some("br0")));
    grounds.domain(
        "<domain type='kvm'><name>one-1</name><devices><interface type='bridge'><mac address='02:00:0a:00:00:01'/>\
         <target dev='one-1-0'/></interface></devices></domain>",
    );
    let outcome = grounds.call(driver, call);
    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
    let removed = |effect: &Effect| match effect {
        Effect::RemoveVlans { port, first, last } => vec![format!("bridge vlan del dev {port} vid {first}-{last}")],
        effect => commands(effect),
    };
    outcome.links.iter().flat_map(removed).collect()
}

fn of_the_proxy(commands: Vec<String>) -> Vec<String> {
    commands.into_iter().filter(|line| line.contains("br0b")).collect()
}

/// Machines reach their proxy by the network's own VLAN; customers' VLANs are none of its business.
#[test]
fn a_proxys_port_has_the_networks_vlan_alone() {
    isolated(|| {
        let vm = format!("{MACHINE}</TEMPLATE></VM>");
        let post = vlans_with_a_proxy("802.1Q", Call::Post { vm, deploy_id: "one-1".into(), host: "node1".into() });
        assert_eq!(of_the_proxy(post), ["bridge vlan add dev br0b vid 100 pvid untagged"]);
        // The stock driver ends with an error here.
        let vm = format!("{MACHINE}<VNET_UPDATE><CVLANS>7</CVLANS></VNET_UPDATE></TEMPLATE></VM>");
        let update = vlans_with_a_proxy("802.1Q", Call::UpdateNic { vm, deploy_id: "one-1".into(), network_id: 4 });
        assert_eq!(
            of_the_proxy(update),
            ["bridge vlan del dev br0b vid 2-4094", "bridge vlan add dev br0b vid 100 pvid untagged"]
        );
    });
}

/// A trunk that has no VLAN of its own is the same on every port, the proxy's among them.
#[test]
fn a_trunk_without_a_vlan_of_its_own_passes_all_ports() {
    for driver in ["bridge", "fw"] {
        isolated(move || {
            let vm = MACHINE
                .replace("802.1Q", driver)
                .replace("<VLAN_ID>100</VLAN_ID><CVLANS>5-6</CVLANS>", "<VLAN_TAGGED_ID>5-6</VLAN_TAGGED_ID>");
            let vm = format!("{vm}<VNET_UPDATE><VLAN_TAGGED_ID>7</VLAN_TAGGED_ID></VNET_UPDATE></TEMPLATE></VM>");
            let given = vlans_with_a_proxy(driver, Call::UpdateNic { vm, deploy_id: "one-1".into(), network_id: 4 });
            let ports = ["eth1.100", "one-1-0", "br0b"];
            let removed = ports.iter().map(|port| format!("bridge vlan del dev {port} vid 2-4094"));
            let added = ports.iter().flat_map(|port| [5, 6].map(|id| format!("bridge vlan add dev {port} vid {id}")));
            assert_eq!(given, removed.chain(added).collect::<Vec<_>>(), "{driver}");
        });
    }
}

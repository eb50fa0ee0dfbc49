//! Virtual functions of network cards, which this machine has none of: the drivers on a simulated host.
//! How a function is found below `/sys`, and the words for `ip`, are tests of the executor.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::openvswitch::{Change, Column, Effect as Switch, Ethertype, VlanMode};
use remotes_effect::sriov::{Effect as Sriov, Settings};
use remotes_effect::{Answer, Effect, iptables};
use remotes_sdk::testing::{Host, Simulation};
use remotes_sdk::{Failure, FailureKind, Vnm};
use remotes_simulation::{Network, SimulatedFunction};

const BRIDGE: &str = include_str!("../../../guests/vnm-bridge/policy.toml");
const FW: &str = include_str!("../../../guests/vnm-fw/policy.toml");
const VLAN: &str = include_str!("../../../guests/vnm-802-1q/policy.toml");
const OVSWITCH: &str = include_str!("../../../guests/vnm-ovswitch/policy.toml");

fn machine(inner: &str) -> String {
    format!(
        "<VM><ID>7</ID><DEPLOY_ID>one-7</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE>{inner}</TEMPLATE></VM>"
    )
}

fn pci(driver: &str, id: u32, address: &str, more: &str) -> String {
    format!(
        "<PCI><NIC_ID>{id}</NIC_ID><VN_MAD>{driver}</VN_MAD><BRIDGE>ovsbr0</BRIDGE><NETWORK_ID>4</NETWORK_ID>\
        <MAC>02:00:0a:00:00:0{id}</MAC><SHORT_ADDRESS>{address}</SHORT_ADDRESS><DOMAIN>0000</DOMAIN>{more}</PCI>"
    )
}

/// A card that leaves packets to the functions, and one that switches them itself.
fn host(policy: &str) -> Host {
    let network = Network::default()
        .link("enp3s0", "", None)
        .link("enp4s0", "", None)
        .link("enp4s0_1", "", None)
        .function("03:10.2", "enp3s0", 1, None)
        .function("04:10.2", "enp4s0", 1, Some("enp4s0_1"));
    Host::new(Simulation::new().here(|machine| remotes_sdk::testing::Machine { network, ..machine }), policy)
}

fn call<D: Vnm>(host: &Host, action: &str, document: &str) -> Vec<Effect> {
    let (vm, id) = (document.to_owned(), "one-7".to_owned());
    let call = host.call(|| -> Result<String, Failure> {
        match action {
            "post" => D::post(vm, id, "node1".into()),
            "clean" => D::clean(vm, "node1".into()),
            _ => D::update_nic(vm, id, 4),
        }
    });
    let done = call.done.iter().map(|(effect, _)| effect.clone()).collect();
    call.value();
    done
}

fn function(host: &Host, index: usize) -> SimulatedFunction {
    host.simulation().here.network.functions[index].clone()
}

fn settings(mac: &str, vlan: Option<u16>, spoof_check: Option<bool>, trust: Option<bool>) -> Settings {
    Settings { mac: Some(mac.into()), vlan, spoof_check, trust }
}

fn post_and_update<D: Vnm>(driver: &str, policy: &str) {
    let host = host(policy);
    let of = |more: &str| pci(driver, 3, "03:10.2", more);
    call::<D>(&host, "post", &machine(&of("<VLAN_ID>42</VLAN_ID><SPOOFCHK>YES</SPOOFCHK><TRUST>off</TRUST>")));
    let mac = "02:00:0a:00:00:03";
    assert_eq!(function(&host, 0).settings, settings(mac, Some(42), Some(true), Some(false)));
    assert!(!function(&host, 0).offloaded);
    // Without a VLAN, one that was there goes; what the network does not say stays.
    let changed = of("<TRUST>on</TRUST>") + "<VNET_UPDATE><VLAN_ID>42</VLAN_ID><TRUST>off</TRUST></VNET_UPDATE>";
    call::<D>(&host, "update_nic", &machine(&changed));
    assert_eq!(function(&host, 0).settings, settings(mac, Some(0), Some(true), Some(true)));
    let before = function(&host, 0);
    let unrelated = of("<VLAN_ID>7</VLAN_ID>") + "<VNET_UPDATE><GATEWAY>10.0.0.1</GATEWAY></VNET_UPDATE>";
    call::<D>(&host, "update_nic", &machine(&unrelated));
    call::<D>(&host, "clean", &machine(&of("")));
    assert_eq!(function(&host, 0), before);
}

#[test]
fn a_function_is_set_up_and_follows_its_network() {
    post_and_update::<vnm_bridge::Bridge>("bridge", BRIDGE);
    post_and_update::<vnm_fw::Fw>("fw", FW);
    post_and_update::<vnm_802_1q::Vlan>("802.1Q", VLAN);
    post_and_update::<vnm_ovswitch::Ovswitch>("ovswitch", OVSWITCH);
}

#[test]
fn only_what_is_attached_is_set_up() {
    let host = host(BRIDGE);
    let document = pci("bridge", 3, "03:10.2", "") + &pci("bridge", 4, "04:10.2", "<ATTACH>YES</ATTACH>");
    call::<vnm_bridge::Bridge>(&host, "post", &machine(&document));
    assert_eq!(function(&host, 0).settings.mac, None);
    // The card's switch has the VLAN, if any: to the function only its address is told.
    assert_eq!(function(&host, 1).settings, settings("02:00:0a:00:00:04", None, None, None));
    assert!(function(&host, 1).offloaded);
}

#[test]
fn what_is_no_function_is_left_alone() {
    let host = host(BRIDGE);
    let document = pci("bridge", 3, "05:00.0", "")
        + &pci("fw", 4, "03:10.2", "")
        + "<PCI><NIC_ID>5</NIC_ID><VN_MAD>bridge</VN_MAD></PCI>";
    let done = call::<vnm_bridge::Bridge>(&host, "post", &machine(&document));
    assert!(
        !done.iter().any(|effect| matches!(effect, Effect::Sriov(Sriov::Configure { .. } | Sriov::Offload { .. })))
    );
}

#[test]
fn a_representor_is_a_port_like_a_tap() {
    let host = host(OVSWITCH);
    let of = |more: &str| pci("ovswitch", 4, "04:10.2", more);
    let port = || {
        let bridges = host.simulation().here.network.openvswitch.bridges;
        assert_eq!(bridges[0].name, "ovsbr0");
        let names: Vec<String> = bridges[0].ports.iter().map(|port| port.name.clone()).collect();
        assert_eq!(names, ["enp4s0", "enp4s0_1"]);
        bridges[0].ports[1].clone()
    };
    for _ in 0..2 {
        call::<vnm_ovswitch::Ovswitch>(&host, "post", &machine(&of("<VLAN_ID>42</VLAN_ID>")));
        assert_eq!((port().tag, port().vlan_mode), (Some(42), Some(VlanMode::NativeUntagged)));
    }
    assert!(function(&host, 1).offloaded);
    let changed = of("<VLAN_ID>43</VLAN_ID><CVLANS>5</CVLANS>") + "<VNET_UPDATE><VLAN_ID>42</VLAN_ID></VNET_UPDATE>";
    call::<vnm_ovswitch::Ovswitch>(&host, "update_nic", &machine(&changed));
    assert_eq!((port().tag, port().vlan_mode, port().cvlans), (Some(43), Some(VlanMode::Dot1qTunnel), vec![5]));
}

/// What an effect tells the switch of ports.
fn columns(effect: &Effect) -> Vec<Column> {
    let Effect::Openvswitch(Switch::Apply { changes }) = effect else { return Vec::new() };
    let of = |change: &Change| match change {
        Change::SetPort(port) => port.columns.clone(),
        _ => Vec::new(),
    };
    changes.iter().flat_map(of).collect()
}

/// What only the switch has to know is told to the switch alone.
#[test]
fn a_representor_follows_tagged_and_inner_vlans() {
    let host = host(OVSWITCH);
    let of = |more: &str, update: &str| machine(&(pci("ovswitch", 4, "04:10.2", more) + update));
    let port = || host.simulation().here.network.openvswitch.bridges[0].ports[1].clone();
    call::<vnm_ovswitch::Ovswitch>(&host, "post", &of("<VLAN_ID>42</VLAN_ID><VLAN_TAGGED_ID>5</VLAN_TAGGED_ID>", ""));
    assert_eq!((port().tag, port().trunks), (Some(42), vec![5]));
    let ad = || Column::QinqEthertype(Some(Ethertype::Dot1ad));
    for (now, before, trunks, cvlans, told) in [
        ("<VLAN_TAGGED_ID>6-7</VLAN_TAGGED_ID>", "<VLAN_TAGGED_ID>5</VLAN_TAGGED_ID>", vec![6, 7], vec![], None),
        ("<CVLANS>8</CVLANS>", "<CVLANS><![CDATA[]]></CVLANS>", vec![], vec![8], None),
        (
            "<CVLANS>8</CVLANS><QINQ_TYPE>802.1ad</QINQ_TYPE>",
            "<QINQ_TYPE><![CDATA[]]></QINQ_TYPE>",
            vec![],
            vec![8],
            Some(ad()),
        ),
        ("", "<CVLANS>8</CVLANS>", vec![], vec![], Some(Column::QinqEthertype(None))),
    ] {
        let update = format!("<VNET_UPDATE>{before}</VNET_UPDATE>");
        let document = of(&format!("<VLAN_ID>42</VLAN_ID>{now}"), &update);
        let done = call::<vnm_ovswitch::Ovswitch>(&host, "update_nic", &document);
        let port = port();
        assert_eq!((port.tag, port.trunks, port.cvlans), (Some(42), trunks, cvlans), "{now}");
        let is_told = |column: &Column| done.iter().any(|effect| columns(effect).contains(column));
        assert!(told.as_ref().is_none_or(is_told), "{told:?}: {done:?}");
        assert!(!done.iter().any(|effect| matches!(effect, Effect::Sriov(Sriov::Configure { .. }))), "{now}");
    }
}

/// A representor stays where it is when its machine goes: the next one's network has a word in all of its VLANs.
#[test]
fn a_representor_keeps_nothing_of_the_last_machine() {
    let host = host(OVSWITCH);
    let post =
        |more: &str| call::<vnm_ovswitch::Ovswitch>(&host, "post", &machine(&pci("ovswitch", 4, "04:10.2", more)));
    let port = || host.simulation().here.network.openvswitch.bridges[0].ports[1].clone();
    post("<VLAN_ID>42</VLAN_ID><CVLANS>5</CVLANS><QINQ_TYPE>802.1ad</QINQ_TYPE>");
    assert_eq!((port().tag, port().cvlans), (Some(42), vec![5]));
    let done = post("");
    assert_eq!((port().tag, port().cvlans, port().vlan_mode), (None, vec![], Some(VlanMode::Trunk)));
    assert!(done.iter().any(|effect| columns(effect).contains(&Column::QinqEthertype(None))), "{done:?}");
}

/// Nothing is guessed of a card whose own link cannot be told, and nobody's machine fails for it.
#[test]
fn a_card_that_cannot_be_told_is_skipped_with_a_warning() {
    let host = host(BRIDGE);
    let failure = Failure { kind: FailureKind::Unsupported, message: "none is called p0".into() };
    host.change(|simulation| simulation.failing("sriov.find", 1, failure));
    let document = machine(&(pci("bridge", 3, "04:10.2", "") + &pci("bridge", 4, "03:10.2", "")));
    let called = host.call(|| vnm_bridge::Bridge::post(document, "one-7".into(), "node1".into()));
    assert_eq!(called.log(), ["warning: PCI device 3 is not set up: none is called p0"]);
    called.value();
    assert_eq!(function(&host, 0).settings.mac.as_deref(), Some("02:00:0a:00:00:04"));
    assert_eq!(function(&host, 1).settings.mac, None);
}

/// A card that cannot be set up opens no other interface.
#[test]
fn rules_are_made_whatever_becomes_of_functions() {
    fn post<D: Vnm>(driver: &str, policy: &str) {
        let host = host(policy);
        let nic = format!(
            "<NIC><NIC_ID>0</NIC_ID><VN_MAD>{driver}</VN_MAD><BRIDGE>br0</BRIDGE><MAC>02:00:0a:00:00:07</MAC>\
            <IP>10.0.0.7</IP><SECURITY_GROUPS>0</SECURITY_GROUPS></NIC>"
        );
        let document = machine(&(nic + &pci(driver, 3, "03:10.2", "<VLAN_ID>x</VLAN_ID>")));
        let called = host.call(|| D::post(document, "one-7".into(), "node1".into()));
        assert_eq!(called.failure().message, "PCI device 3: VLAN_ID is \"x\", expected a VLAN up to 4094");
        let is_closed = |(effect, answer): &(Effect, Answer)| {
            matches!(effect, Effect::Iptables(iptables::Effect::Apply { .. })) && answer.failure().is_none()
        };
        assert!(called.done.iter().any(is_closed), "{driver}: {:?}", called.names());
    }
    post::<vnm_fw::Fw>("fw", FW);
    post::<vnm_802_1q::Vlan>("802.1Q", VLAN);
}

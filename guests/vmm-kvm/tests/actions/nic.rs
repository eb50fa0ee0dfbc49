//! attach_nic and detach_nic

use remotes_sdk::testing::{Call, Guest, Host, Reaction, Simulation};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::disk::given;
use crate::fixture::*;

const MAC: &str = "02:00:0a:33:00:0c";

fn with_devices(inside: &str) -> String {
    domain(&format!("{OS}<devices>{inside}</devices>"))
}

fn attach(host: &Host, template: &str) -> Call<()> {
    let action = action(template, "qcow2");
    let text = || String::from("-");
    host.call(|| Kvm::attach_nic(UUID.into(), MAC.into(), text(), text(), text(), text(), action))
}

fn detach(host: &Host, template: &str) -> Call<()> {
    let action = action(template, "qcow2");
    host.call(|| Kvm::detach_nic(UUID.into(), MAC.into(), action))
}

fn nic(inside: &str) -> String {
    format!(
        "<NIC><MAC>x</MAC></NIC><NIC><ATTACH>YES</ATTACH><MAC>{MAC}</MAC><TARGET>one-1-2</TARGET>{inside}</NIC><VCPU>2</VCPU>"
    )
}

fn described(simulation: Simulation, inside: &str) -> String {
    given(&attach(&host(simulation), &nic(inside)))
}

fn plain() -> Simulation {
    running(&with_devices(""))
}

#[test]
fn a_nic_is_connected_as_its_network_says() {
    let tail = format!("<mac address='{MAC}'/><target dev='one-1-2'/></interface>");
    for (inside, head) in [
        (
            "<BRIDGE>onebr2</BRIDGE><BRIDGE_TYPE>linux</BRIDGE_TYPE>",
            "<interface type='bridge'><source bridge='onebr2'/>",
        ),
        (
            "<BRIDGE>ovs</BRIDGE><BRIDGE_TYPE>openvswitch</BRIDGE_TYPE>",
            "<interface type='bridge'><virtualport type='openvswitch'/><source bridge='ovs'/>",
        ),
        (
            "<BRIDGE>ovs</BRIDGE><BRIDGE_TYPE>openvswitch_dpdk</BRIDGE_TYPE>",
            "<interface type='vhostuser'><source type='unix' mode='server' path='/var/run/one/vhost-socks/one-1-2'/>",
        ),
        ("<BRIDGE>b</BRIDGE><NETWORK_MODE>Dummy</NETWORK_MODE>", "<interface type='ethernet'>"),
        ("", "<interface type='ethernet'>"),
    ] {
        assert_eq!(described(plain(), inside), format!("{head}{tail}"));
    }
}

#[test]
fn a_nic_has_model_queues_filter_and_bandwidth() {
    let configured = || {
        plain()
            .configuration("DEFAULT_ATTACH_NIC_MODEL", "virtio")
            .configuration("DEFAULT_ATTACH_NIC_FILTER", "clean-traffic")
    };
    let rest = |simulation, inside: &str| {
        described(simulation, inside).split_once("<target dev='one-1-2'/>").unwrap().1.replace("</interface>", "")
    };
    assert_eq!(rest(configured(), ""), "<model type='virtio'/>");
    assert_eq!(
        rest(configured(), "<VIRTIO_QUEUES>auto</VIRTIO_QUEUES><ORDER>1</ORDER>"),
        "<boot order='1'/><model type='virtio'/><driver name='vhost' queues='2'/>"
    );
    assert_eq!(rest(configured(), "<MODEL>e1000</MODEL><VIRTIO_QUEUES>4</VIRTIO_QUEUES>"), "<model type='e1000'/>");
    assert_eq!(
        rest(configured(), "<IP>10.0.0.1</IP><VROUTER_IP>10.0.0.9</VROUTER_IP>"),
        "<model type='virtio'/><filterref filter='clean-traffic'><parameter name='IP' value='10.0.0.1'/>\
         <parameter name='IP' value='10.0.0.9'/></filterref>"
    );
    assert_eq!(rest(configured(), "<IP/>"), "<model type='virtio'/><filterref filter='clean-traffic'/>");
    assert_eq!(
        rest(
            plain(),
            "<INBOUND_AVG_BW>1</INBOUND_AVG_BW><INBOUND_PEAK_KB>3</INBOUND_PEAK_KB><OUTBOUND_PEAK_BW>2</OUTBOUND_PEAK_BW>"
        ),
        "<bandwidth><inbound average='1' burst='3'/><outbound peak='2'/></bandwidth>"
    );
    assert!(described(plain(), "<SCRIPT>/s</SCRIPT>").contains("<script path='/s'/>"));
}

#[test]
fn a_repeat_and_a_lost_answer_are_success() {
    let host1 = host(plain().losing("libvirt.attach-device", 1, Failure::unknown("lost")));
    attach(&host1, &nic("<BRIDGE>b</BRIDGE>")).value();

    let host2 = host(plain().failing("libvirt.attach-device", 1, Failure::failed("no more PCI slots")));
    let call = attach(&host2, &nic("<BRIDGE>b</BRIDGE>"));
    assert_eq!(call.failure(), &Failure::failed(format!("Could not attach NIC to {UUID}")));
    assert_eq!(call.log(), ["error: no more PCI slots"]);
}

/// An address may be given twice; where a device is connected, and as what, tells whether it is the same.
#[test]
fn an_interface_with_its_address_alone_is_not_the_one_to_attach() {
    let there = |kind: &str, source: &str, target: &str| {
        let mac = MAC.to_uppercase();
        let interface = format!(
            "<interface type='{kind}'><mac address='{mac}'/>{source}<target dev='{target}'/><model type='virtio'/></interface>"
        );
        running(&with_devices(&interface)).failing("libvirt.attach-device", 1, Failure::failed("no bridge b"))
    };
    let bridged = nic("<BRIDGE>b</BRIDGE>");
    for world in [
        there("bridge", "<source bridge='b'/>", "one-1-1"),
        there("bridge", "<source bridge='other'/>", "one-1-2"),
        there("ethernet", "", "one-1-2"),
    ] {
        attach(&host(world), &bridged).failure();
    }
    let call = attach(&host(there("bridge", "<source bridge='b'/>", "one-1-2")), &bridged);
    assert_eq!(call.log(), ["info: it is attached already"]);
    call.value();
    // The switch names what is behind a socket.
    let dpdk = nic("<BRIDGE>b</BRIDGE><BRIDGE_TYPE>openvswitch_dpdk</BRIDGE_TYPE>");
    let socket = |name: &str| {
        let source = format!("<source type='unix' path='/var/run/one/vhost-socks/{name}' mode='server'/>");
        host(there("vhostuser", &source, "vhost-user1"))
    };
    attach(&socket("one-1-2"), &dpdk).value();
    attach(&socket("one-1-1"), &dpdk).failure();
}

#[test]
fn without_a_nic_to_attach_it_fails() {
    assert_eq!(attach(&host(plain()), "<NIC/>").failure().kind, FailureKind::Invalid);
}

const PCI: &str =
    "<DOMAIN>0000</DOMAIN><BUS>41</BUS><SLOT>00</SLOT><FUNCTION>1</FUNCTION><SHORT_ADDRESS>41:00.1</SHORT_ADDRESS>";

fn pci(inside: &str) -> String {
    format!("<PCI><ATTACH>YES</ATTACH>{inside}</PCI>")
}

#[test]
fn devices_of_the_host_are_handed_over() {
    let host1 = host(plain());
    assert_eq!(
        given(&attach(&host1, &pci(PCI))),
        "<hostdev mode='subsystem' type='pci' managed='yes'><source>\
         <address domain='0x0000' bus='0x41' slot='0x00' function='0x1'/></source></hostdev>"
    );
    let call = attach(&host1, &pci(PCI));
    assert_eq!(call.log(), ["info: it is attached already"]);
    call.value();
    assert_eq!(
        given(&attach(&host(plain()), &pci("<UUID>abc</UUID>"))),
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='abc'/></source></hostdev>"
    );
}

#[test]
fn a_virtual_function_is_an_interface() {
    let device = "/sys/devices/pci0000:40/0000:40:01.0/0000:41:00.1";
    let simulation = plain()
        .directory(device)
        .link(&format!("{device}/physfn"), "../0000:41:00.0")
        .link("/sys/bus/pci/devices/0000:41:00.1", "../../../devices/pci0000:40/0000:40:01.0/0000:41:00.1");
    assert_eq!(
        given(&attach(&host(simulation), &pci(PCI))),
        "<interface type='hostdev' managed='yes'><source>\
         <address type='pci' domain='0x0000' bus='0x41' slot='0x00' function='0x1'/></source></interface>"
    );
}

#[test]
fn the_guests_address_is_used_where_it_is_free() {
    let guest =
        "<VM_DOMAIN>0x0000</VM_DOMAIN><VM_BUS>0x01</VM_BUS><VM_SLOT>0x02</VM_SLOT><VM_FUNCTION>0x0</VM_FUNCTION>";
    let address = "<address type='pci' domain='0x0000' bus='0x01' slot='0x02' function='0x0'/>";
    let bridge = "<controller type='pci' index='1'></controller>";
    let taken = "<memballoon><address type='pci' domain='0' bus='1' slot='0x2' function='0'/></memballoon>";
    for (devices, expected) in [("", false), (bridge, true), (&*format!("{bridge}{taken}"), false)] {
        let xml = given(&attach(&host(running(&with_devices(devices))), &pci(&format!("{PCI}{guest}"))));
        assert_eq!(xml.contains(address), expected, "{devices}");
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    for part in ["../..", "0x0", "", "000000000", "g"] {
        let inside = PCI.replace("<BUS>41</BUS>", &format!("<BUS>{part}</BUS>"));
        let call = attach(&host(plain()), &pci(&inside));
        assert_eq!(call.failure().kind, FailureKind::Invalid, "{part}");
        assert_eq!(call.count("filesystem.stat"), 0);
    }
}

fn plugged(unplug: Reaction) -> Simulation {
    let mac = MAC.to_uppercase();
    let interface = format!("<interface type='ethernet'><mac address='{mac}'/><target dev='one-1-2'/></interface>");
    running(&with_devices(&interface)).guest("one-1", Guest { unplug, ..Guest::default() })
}

#[test]
fn an_interface_of_any_type_is_unplugged() {
    let host = host(plugged(Reaction::AfterPolls(1)));
    detach(&host, &nic("")).value();
    assert!(!host.simulation().here.find(UUID).unwrap().xml().contains("<interface"));
    let call = detach(&host, &nic(""));
    assert_eq!(call.log(), [format!("info: no interface has the address {MAC}")]);
    call.value();
}

#[test]
fn a_guest_that_holds_its_interface_is_asked_as_often_as_configured() {
    for (value, tries) in [("2", 2), ("", 3)] {
        let call = detach(&host(plugged(Reaction::Ignores).configuration("VIRSH_RETRIES", value)), &nic(""));
        assert_eq!(call.count("libvirt.unplug-device"), tries);
        assert_eq!(call.failure(), &Failure::busy(format!("Error detaching interface ({MAC})")));
    }
    for inside in ["<BRIDGE_TYPE>openvswitch_dpdk</BRIDGE_TYPE>", "<NETWORK_MODE>dummy</NETWORK_MODE>"] {
        let call = detach(&host(plugged(Reaction::Ignores)), &nic(inside));
        assert_eq!(call.failure(), &Failure::busy(format!("Could not detach device from {UUID}")));
    }
}

/// It undoes what failed, perhaps because the machine had ended.
#[test]
fn a_machine_that_is_gone_has_no_interface() {
    let host = host(empty());
    detach(&host, &nic("")).value();
    assert_eq!(detach(&host, &pci(PCI)).failure().kind, FailureKind::NotFound);
}

fn twins() -> Simulation {
    let interface =
        |target: &str| format!("<interface type='ethernet'><mac address='{MAC}'/><target dev='{target}'/></interface>");
    let both = format!("{}{}", interface("one-1-1"), interface("one-1-2"));
    running(&with_devices(&both)).guest("one-1", Guest { unplug: Reaction::AfterPolls(1), ..Guest::default() })
}

fn targets(host: &Host) -> Vec<&'static str> {
    let simulation = host.simulation();
    let xml = simulation.here.find(UUID).unwrap().xml();
    ["one-1-1", "one-1-2"].into_iter().filter(|target| xml.contains(&format!("dev='{target}'"))).collect()
}

#[test]
fn of_two_interfaces_with_one_address_the_one_that_is_meant_goes() {
    let other = format!("<NIC><MAC>{MAC}</MAC><TARGET>one-1-1</TARGET></NIC>");
    for document in [nic(""), format!("{other}{}", nic(""))] {
        let host = host(twins());
        detach(&host, &document).value();
        assert_eq!(targets(&host), ["one-1-1"], "{document}");
    }
    // A repeat leaves the other one where it is.
    let host1 = host(twins());
    let document = format!("{other}{}", nic(""));
    detach(&host1, &document).value();
    let call = detach(&host1, &document);
    assert_eq!(call.count("libvirt.unplug-device"), 0);
    call.value();
    assert_eq!(targets(&host1), ["one-1-1"]);
    // Which one?
    for document in ["", &other, &nic("").replace("one-1-2", "one-1-9")] {
        let host = host(twins());
        let call = detach(&host, document);
        assert_eq!(call.failure().kind, FailureKind::Invalid, "{document}");
        assert!(call.log()[0].contains("2 interfaces have the address"), "{:?}", call.log());
        assert_eq!(targets(&host), ["one-1-1", "one-1-2"]);
    }
}

#[test]
fn without_an_address_nothing_is_unplugged() {
    let host = host(plugged(Reaction::AfterPolls(0)));
    let call = host.call(|| Kvm::detach_nic(UUID.into(), String::new(), action("", "qcow2")));
    assert_eq!(call.failure().kind, FailureKind::Invalid);
    assert_eq!(call.count("libvirt.unplug-device"), 0);
}

#[test]
fn devices_of_the_host_are_taken_back() {
    let host = host(plain());
    for inside in [PCI, "<UUID>0b1ed7c1-4b41-4d0b-8d0f-7ed3d2e07d1c</UUID>"] {
        attach(&host, &pci(inside)).value();
        detach(&host, &pci(inside)).value();
        assert!(!host.simulation().here.find(UUID).unwrap().xml().contains("<hostdev"));
        let call = detach(&host, &pci(inside));
        assert_eq!(call.log(), ["info: the device is not attached"]);
        call.value();
    }
}

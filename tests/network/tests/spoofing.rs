//! Frames through ports of a real Open vSwitch: what a machine may say it is from, and which VLANs it
//! reaches.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use remotes_effect::vnm::Call;
use remotes_network_tests::{Grounds, Wired, sh, switched, wait_for};

const OWN: [u8; 6] = [2, 0, 0x0a, 0, 0, 7];
const OTHER: [u8; 6] = [2, 0, 0x0a, 0, 0, 9];
const EVERYBODY: [u8; 6] = [0xff; 6];

const DOMAIN: &str = "<domain type='kvm'><name>one-7</name><devices><interface type='bridge'>\
    <mac address='02:00:0a:00:00:07'/><target dev='one-7-0'/></interface></devices></domain>";

/// A machine with one interface, of a network with these attributes, and other elements of its template.
fn machine(network: &str, more: &str) -> String {
    format!(
        "<VM><ID>7</ID><DEPLOY_ID>one-7</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE><NIC><NIC_ID>0</NIC_ID><VN_MAD>ovswitch</VN_MAD><BRIDGE>ovsbr0</BRIDGE><MAC>02:00:0a:00:00:07</MAC>\
        <TARGET>one-7-0</TARGET>{network}</NIC>{more}</TEMPLATE></VM>"
    )
}

fn post(grounds: &mut Grounds, document: String) {
    let call = Call::Post { vm: document, deploy_id: "one-7".into(), host: "node1".into() };
    succeed(grounds, call);
}

fn succeed(grounds: &mut Grounds, call: Call) {
    let outcome = grounds.call("ovswitch", call);
    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
    // What it has remembered of frames it looks at anew a moment after a change.
    sh("ovs-appctl --timeout=20 revalidator/wait");
}

fn grounds() -> Grounds {
    let mut grounds = Grounds::default();
    grounds.domain(DOMAIN);
    sh("ovs-vsctl --timeout=20 add-br ovsbr0 -- set bridge ovsbr0 datapath_type=netdev; ip link set ovsbr0 up");
    grounds
}

fn ethernet(from: [u8; 6], kind: u16, rest: &[u8]) -> Vec<u8> {
    [&EVERYBODY[..], &from, &kind.to_be_bytes(), rest].concat()
}

/// A request of ARP from an address.
fn arp(from: [u8; 6], address: &str, mark: &[u8]) -> Vec<u8> {
    let address: Ipv4Addr = address.parse().unwrap();
    let header = [0, 1, 8, 0, 6, 4, 0, 1];
    ethernet(from, 0x0806, &[&header[..], &from, &address.octets(), &[0; 6], &[10, 0, 0, 1], mark].concat())
}

fn udp(ports: (u16, u16), mark: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + mark.len()).unwrap();
    [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &length.to_be_bytes(), &[0, 0], mark].concat()
}

fn ipv4(from: [u8; 6], address: &str, to: &str, ports: (u16, u16), mark: &[u8]) -> Vec<u8> {
    let [source, target] = [address, to].map(|it| it.parse::<Ipv4Addr>().unwrap().octets());
    let body = udp(ports, mark);
    let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let mut header = [&[0x45, 0][..], &length, &[0, 0, 0, 0, 64, 17, 0, 0], &source, &target].concat();
    let words = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(from, 0x0800, &[header, body].concat())
}

fn ipv6(from: [u8; 6], address: &str, next: u8, body: &[u8]) -> Vec<u8> {
    let [source, target] = [address, "ff02::1"].map(|it| it.parse::<Ipv6Addr>().unwrap().octets());
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    ethernet(from, 0x86dd, &[&[0x60, 0, 0, 0][..], &length, &[next, 255], &source, &target, body].concat())
}

/// How many frames have come in by a port.
fn received(port: &str) -> usize {
    let counted = sh(&format!("ovs-ofctl --timeout=20 dump-ports ovsbr0 {port}"));
    counted.split("rx pkts=").nth(1).and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap()
}

/// Sends frames, and waits until the switch has taken them: those of one moment need not keep their order.
fn send(from: &Wired, port: &str, frames: &[(&str, Vec<u8>)]) {
    let before = received(port);
    for (_, frame) in frames {
        from.send(frame);
    }
    wait_for("the switch takes the frames", || received(port) >= before + frames.len());
}

/// A frame that no filter is about: what was sent before it has been decided when it comes.
fn end() -> Vec<u8> {
    ethernet(OWN, 0x88b5, END)
}

/// The names of the frames that are among those that were seen.
fn named(frames: &[(&str, Vec<u8>)], seen: &[Vec<u8>]) -> Vec<String> {
    let is_seen = |frame: &Vec<u8>| seen.iter().any(|it| it.ends_with(&frame[frame.len() - 24..]));
    frames.iter().filter(|(_, frame)| is_seen(frame)).map(|(name, _)| (*name).to_owned()).collect()
}

/// Which of these frames arrive, by their names.
fn passing(from: (&Wired, &str), to: &Wired, frames: &[(&str, Vec<u8>)]) -> Vec<String> {
    send(from.0, from.1, frames);
    from.0.send(&end());
    named(frames, &to.until(MARK, END))
}

const END: &[u8] = b"the-end-of-the-frames................................";
const MARK: &[u8] = b"\xa5remotes";

/// A mark that is another for each frame.
fn mark(number: u8) -> Vec<u8> {
    [MARK, &[number; 24]].concat()
}

/// Frames that tell the truth, and frames that do not.
fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let ports = (4000, 5000);
    let icmpv6 = |kind: u8, number: u8| [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &mark(number)].concat();
    vec![
        ("arp", arp(OWN, "10.0.0.7", &mark(1))),
        ("arp of the virtual router", arp(OWN, "10.0.0.254", &mark(2))),
        ("arp of another address", arp(OWN, "10.0.0.9", &mark(3))),
        ("arp from another card", arp(OTHER, "10.0.0.7", &mark(4))),
        ("ipv4", ipv4(OWN, "10.0.0.7", "10.0.0.1", ports, &mark(5))),
        ("ipv4 of another address", ipv4(OWN, "10.0.0.9", "10.0.0.1", ports, &mark(6))),
        ("ipv4 from another card", ipv4(OTHER, "10.0.0.7", "10.0.0.1", ports, &mark(7))),
        ("dhcp", ipv4(OWN, "0.0.0.0", "255.255.255.255", (68, 67), &mark(8))),
        ("no dhcp", ipv4(OWN, "0.0.0.0", "255.255.255.255", (68, 68), &mark(9))),
        ("dhcp of another", ipv4(OTHER, "0.0.0.0", "255.255.255.255", (68, 67), &mark(10))),
        ("ipv6", ipv6(OWN, "2001:db8::7", 17, &udp(ports, &mark(11)))),
        ("ipv6 link-local", ipv6(OWN, "fe80::7", 17, &udp(ports, &mark(12)))),
        ("ipv6 of another address", ipv6(OWN, "2001:db8::9", 17, &udp(ports, &mark(13)))),
        ("neighbour solicitation", ipv6(OWN, "::", 58, &icmpv6(135, 14))),
        ("router solicitation", ipv6(OWN, "::", 58, &icmpv6(133, 15))),
        ("router advertisement of nobody", ipv6(OWN, "::", 58, &icmpv6(134, 16))),
        ("ipv4 of an alias", ipv4(OWN, "10.0.0.8", "10.0.0.1", ports, &mark(17))),
        ("ipv4 of a virtual router", ipv4(OWN, "10.0.0.254", "10.0.0.1", ports, &mark(18))),
        ("ipv6 of a virtual router", ipv6(OWN, "2001:db8::254", 17, &udp(ports, &mark(19)))),
    ]
}

const ADDRESSES: &str = "<IP>10.0.0.7</IP><VROUTER_IP>10.0.0.254</VROUTER_IP><IP6_GLOBAL>2001:db8::7</IP6_GLOBAL>\
    <IP6_LINK>fe80::7</IP6_LINK><VROUTER_IP6_GLOBAL>2001:db8::254</VROUTER_IP6_GLOBAL>";

const ALIAS: &str = "<NIC_ALIAS><NIC_ID>1</NIC_ID><PARENT_ID>0</PARENT_ID><IP>10.0.0.8</IP><MAC>02:00:0a:00:00:07</MAC>\
    <FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>MARK</NIC_ALIAS>";

fn names(frames: &[(&str, Vec<u8>)], but: &[&str]) -> Vec<String> {
    frames.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !but.contains(&name.as_str())).collect()
}

#[test]
fn a_machine_is_held_to_its_addresses() {
    switched(|| {
        let mut grounds = grounds();
        let (guest, other) = (Wired::plug("ovsbr0", "one-7-0", ""), Wired::plug("ovsbr0", "one-8-0", ""));
        let frames = frames();
        let of_other_cards = ["arp from another card", "ipv4 from another card", "dhcp of another"];
        let of_other_addresses = [
            "arp of another address",
            "ipv4 of another address",
            "no dhcp",
            "ipv6 of another address",
            "router advertisement of nobody",
            "ipv4 of an alias",
        ];
        let mac = "<FILTER_MAC_SPOOFING>YES</FILTER_MAC_SPOOFING>";
        let ip = "<FILTER_IP_SPOOFING>yes</FILTER_IP_SPOOFING>";
        let both = [&of_other_cards[..], &of_other_addresses].concat();
        for (filters, stopped) in [
            (String::new(), &[][..]),
            (mac.to_owned(), &of_other_cards),
            (ip.to_owned(), &of_other_addresses),
            (format!("{mac}{ip}"), &both),
        ] {
            post(&mut grounds, machine(&format!("{ADDRESSES}{filters}"), ""));
            assert_eq!(passing((&guest, "one-7-0"), &other, &frames), names(&frames, stopped), "{filters}");
        }
        // The other direction is nobody's business.
        assert_eq!(passing((&other, "one-8-0"), &guest, &frames), names(&frames, &[]));
    });
}

#[test]
fn an_alias_comes_and_goes() {
    switched(|| {
        let mut grounds = grounds();
        let (guest, other) = (Wired::plug("ovsbr0", "one-7-0", ""), Wired::plug("ovsbr0", "one-8-0", ""));
        let frames = [
            ("own", ipv4(OWN, "10.0.0.7", "10.0.0.1", (1, 2), &mark(1))),
            ("alias", ipv4(OWN, "10.0.0.8", "10.0.0.1", (1, 2), &mark(2))),
            ("other", ipv4(OWN, "10.0.0.9", "10.0.0.1", (1, 2), &mark(3))),
        ];
        let filtered = format!("{ADDRESSES}<FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>");
        post(&mut grounds, machine(&filtered, ""));
        assert_eq!(passing((&guest, "one-7-0"), &other, &frames), ["own"]);
        post(&mut grounds, machine(&filtered, &ALIAS.replace("MARK", "<ATTACH>YES</ATTACH>")));
        assert_eq!(passing((&guest, "one-7-0"), &other, &frames), ["own", "alias"]);
        let detached = machine(&filtered, &ALIAS.replace("MARK", "<ATTACH>YES</ATTACH>"));
        succeed(&mut grounds, Call::Clean { vm: detached, host: "node1".into() });
        assert_eq!(passing((&guest, "one-7-0"), &other, &frames), ["own"]);
        // An alias that is filtered does not cut an interface off that is not.
        post(&mut grounds, machine(ADDRESSES, &ALIAS.replace("MARK", "")));
        assert_eq!(passing((&guest, "one-7-0"), &other, &frames), ["own", "alias"]);
    });
}

/// A frame in a VLAN, as it is on a trunk.
fn tagged(vlan: u16, number: u8) -> Vec<u8> {
    let inner = [&vlan.to_be_bytes()[..], &0x0800_u16.to_be_bytes(), &[0; 20], &mark(number)].concat();
    ethernet(OWN, 0x8100, &inner)
}

#[test]
fn a_machine_reaches_the_vlans_of_its_network() {
    switched(|| {
        let mut grounds = grounds();
        let guest = Wired::plug("ovsbr0", "one-7-0", "");
        let listeners: Vec<Wired> =
            [41, 42, 43].map(|vlan| Wired::plug("ovsbr0", &format!("one-{vlan}-0"), &format!("tag={vlan}"))).into();
        let plain = ipv4(OWN, "10.0.0.7", "10.0.0.1", (1, 2), &mark(9));
        // Which VLANs the machine's frames come out in: without a tag, with that of each.
        let reached = |grounds: &mut Grounds, network: &str| -> Vec<String> {
            post(grounds, machine(network, ""));
            let frames =
                [("untagged", plain.clone()), ("41", tagged(41, 1)), ("42", tagged(42, 2)), ("43", tagged(43, 3))];
            send(&guest, "one-7-0", &frames);
            let mut reached = Vec::new();
            for (listener, vlan) in listeners.iter().zip([41, 42, 43]) {
                // One that comes out in this VLAN whatever the machine may.
                let packet: String = end().iter().map(|byte| format!("{byte:02x}")).collect();
                sh(&format!(
                    "ovs-ofctl --timeout=20 packet-out ovsbr0 'in_port=CONTROLLER packet={packet} actions=output:one-{vlan}-0'"
                ));
                let seen = listener.until(MARK, END);
                reached.extend(named(&frames, &seen).iter().map(|name| format!("{name} in {vlan}")));
            }
            reached
        };
        assert_eq!(
            reached(&mut grounds, "<VLAN_ID>42</VLAN_ID><VLAN_TAGGED_ID>43</VLAN_TAGGED_ID>"),
            ["untagged in 42", "42 in 42", "43 in 43"]
        );
        // A port that is new has no VLAN.
        sh("ovs-vsctl --timeout=20 clear Port one-7-0 tag");
        assert_eq!(reached(&mut grounds, "<VLAN_TAGGED_ID>41,43</VLAN_TAGGED_ID>"), ["41 in 41", "43 in 43"]);
        assert_eq!(reached(&mut grounds, "<VLAN_ID>42</VLAN_ID><CONF>ovs_vlan_access=yes</CONF>"), ["untagged in 42"]);
        // As the stock drivers leave it: a native VLAN without a list lets all VLANs pass.
        assert_eq!(
            reached(&mut grounds, "<VLAN_ID>42</VLAN_ID>"),
            ["41 in 41", "untagged in 42", "42 in 42", "43 in 43"]
        );
        // What the file asks for no template takes back.
        grounds.configuration(":ovs_vlan_access: true\n");
        let network = "<VLAN_ID>42</VLAN_ID><CONF>ovs_vlan_access=no</CONF>";
        assert_eq!(reached(&mut grounds, network), ["untagged in 42"]);
    });
}

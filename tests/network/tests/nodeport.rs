//! Ports that cannot be told, or not be closed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::{Case, Grounds, State, isolated, sh};

/// The recorded machine with other ports outside.
fn with(case: &Case, range: &str) -> String {
    let vm = case.text("vm.xml").trim_end().to_owned();
    let other = vm.replace("<![CDATA[9000:9099]]></EXTERNAL", &format!("<![CDATA[{range}]]></EXTERNAL"));
    assert_ne!(vm, other);
    other
}

/// Whatever becomes of the ports, the machine's rules go with it.
#[test]
fn clean_removes_the_rules_whatever_becomes_of_the_ports() {
    isolated(|| {
        let case = Case::read("59-nodeport-clean");
        let mut grounds = case.prepare();
        assert!(State::now().iptables.contains("one-70-0-i"));
        let outcome = grounds.call("nodeport", Call::Clean { vm: with(&case, "x:9099"), host: "node1".into() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        let warned = |line: &String| line.starts_with("Warning: NIC 0: not all of its ports are closed: port \"x\"");
        assert!(outcome.log.iter().any(warned), "{outcome:?}");
        let now = State::now();
        assert!(!now.iptables.contains("one-70-0") && !now.ip6tables.contains("one-70-0"), "{}", now.iptables);
        assert_eq!(now.ipset, "");
    });
}

/// A step that fails is no reason to leave the next one out.
#[test]
fn clean_closes_what_it_can() {
    isolated(|| {
        let case = Case::read("59-nodeport-clean");
        let mut grounds = case.prepare();
        let vm = case.text("vm.xml").trim_end().replace("<![CDATA[10.70.0.254]]>", "<![CDATA[10.70.0.0/24]]>");
        let outcome = grounds.call("nodeport", Call::Clean { vm, host: "node1".into() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        assert!(outcome.log.iter().any(|line| line.contains("links.remove-proxy: 10.70.0.0/24")), "{outcome:?}");
        let now = State::now();
        assert!(!now.iptables.contains("DNAT") && !now.iptables.contains("one-70-0"), "{}", now.iptables);
        assert_eq!(sh("ip -4 route show"), "");
    });
}

/// Ports are opened by `post`, and it is `post` that fails where they cannot be.
#[test]
fn post_alone_fails_where_ports_cannot_be_told() {
    isolated(|| {
        let case = Case::read("58-nodeport-post");
        let mut grounds = case.prepare();
        let vm = with(&case, "9000:x");
        let outcome = grounds.call("nodeport", Call::Pre { vm: vm.clone() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        let deploy_id = case.input()["argv"][0].as_str().unwrap().to_owned();
        let outcome = grounds.call("nodeport", Call::Post { vm, deploy_id, host: "node1".into() });
        let Some(Err(failure)) = &outcome.result else { panic!("{outcome:?}") };
        assert!(failure.message.contains("port \"x\""), "{failure}");
        let now = State::now();
        assert!(!now.iptables.contains("DNAT") && now.iptables.contains("-A one-70-0-i -j DROP"), "{}", now.iptables);
    });
}

/// A machine with two interfaces, of which the first has no ports, and one of which is being attached or detached.
fn machine(attached: u32) -> String {
    let nic = |id: u32, more: &str| {
        let mark = if id == attached { "<ATTACH>YES</ATTACH>" } else { "" };
        format!(
            "<NIC><NIC_ID>{id}</NIC_ID><VN_MAD>nodeport</VN_MAD><BRIDGE>br0</BRIDGE><MAC>02:00:0a:00:00:0{id}</MAC>\
            <IP>10.0.0.{id}</IP><GATEWAY>10.0.0.254</GATEWAY><SECURITY_GROUPS>0</SECURITY_GROUPS>{more}{mark}</NIC>"
        )
    };
    let ports =
        "<EXTERNAL_PORT_RANGE>9000:9009</EXTERNAL_PORT_RANGE><INTERNAL_PORT_RANGE>1-10/9000</INTERNAL_PORT_RANGE>";
    format!(
        "<VM><ID>7</ID><DEPLOY_ID>one-7</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE>{}{}</TEMPLATE></VM>",
        nic(1, ""),
        nic(2, ports)
    )
}

/// A host with this machine.
fn host() -> Grounds {
    sh("ip link add br0 type bridge; ip addr add 10.0.0.250/24 dev br0; ip link set br0 up");
    let mut interfaces = String::new();
    for id in 1..=2 {
        sh(&format!("ip tuntap add dev one-7-{id} mode tap; ip link set one-7-{id} master br0 up"));
        interfaces += &format!(
            "<interface type='bridge'><mac address='02:00:0a:00:00:0{id}'/><target dev='one-7-{id}'/></interface>"
        );
    }
    let mut grounds = Grounds::default();
    grounds.domain(&format!("<domain type='kvm'><name>one-7</name><devices>{interfaces}</devices></domain>"));
    grounds
}

fn wrong(log: &[String]) -> usize {
    log.iter().filter(|line| line.contains("NIC information is wrong")).count()
}

/// What one interface does not say is no matter of another's.
#[test]
fn an_interface_without_ports_concerns_itself_alone() {
    isolated(|| {
        let mut grounds = host();
        let post = |attached| Call::Post { vm: machine(attached), deploy_id: "one-7".into(), host: "node1".into() };
        // It goes by itself, or with the whole machine.
        for (gone, complaints) in [(2, 0), (0, 1)] {
            let outcome = grounds.call("nodeport", post(2));
            assert!(matches!(outcome.result, Some(Ok(_))) && wrong(&outcome.log) == 0, "{outcome:?}");
            let nat = || sh("iptables -t nat -S");
            assert!(nat().contains("--to-destination 10.0.0.2:1-10/9000"), "{}", nat());
            let outcome = grounds.call("nodeport", Call::Clean { vm: machine(gone), host: "node1".into() });
            assert!(matches!(outcome.result, Some(Ok(_))) && wrong(&outcome.log) == complaints, "{outcome:?}");
            assert!(!nat().contains("10.0.0.2"), "{}", nat());
        }
    });
}

/// An interface without ports is not served, but filtered like any other.
#[test]
fn an_interface_without_ports_has_its_rules() {
    isolated(|| {
        let mut grounds = host();
        let outcome = grounds.call("nodeport", Call::Pre { vm: machine(0) });
        assert!(matches!(outcome.result, Some(Ok(_))) && wrong(&outcome.log) == 0, "{outcome:?}");
        let post = Call::Post { vm: machine(0), deploy_id: "one-7".into(), host: "node1".into() };
        let outcome = grounds.call("nodeport", post);
        assert!(matches!(outcome.result, Some(Ok(_))) && wrong(&outcome.log) == 1, "{outcome:?}");
        let now = State::now();
        for chain in ["one-7-1-i", "one-7-2-i"] {
            assert!(now.iptables.contains(&format!("-A {chain} -j DROP\n")), "{}", now.iptables);
        }
        assert!(!sh("iptables -t nat -S").contains("10.0.0"));
    });
}

/// Nobody has to answer for a gateway that there is not.
#[test]
fn without_a_gateway_the_ports_are_open() {
    isolated(|| {
        let mut grounds = host();
        let vm = machine(2).replace("<GATEWAY>10.0.0.254</GATEWAY>", "");
        let post = Call::Post { vm: vm.clone(), deploy_id: "one-7".into(), host: "node1".into() };
        let outcome = grounds.call("nodeport", post);
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        assert!(sh("iptables -t nat -S").contains("--to-destination 10.0.0.2:1-10/9000"));
        assert_eq!(sh("ip neighbour show proxy"), "");
        let outcome = grounds.call("nodeport", Call::Clean { vm, host: "node1".into() });
        assert!(matches!(outcome.result, Some(Ok(_))) && outcome.log.is_empty(), "{outcome:?}");
        assert!(!sh("iptables -t nat -S").contains("10.0.0"));
    });
}

/// The machine's address by another link: nothing would reach it.
#[test]
fn a_route_by_another_link_is_in_the_way() {
    isolated(|| {
        let case = Case::read("58-nodeport-post");
        let mut grounds = case.prepare();
        sh("ip link add other type bridge; ip link set other up");
        let vm = case.text("vm.xml").trim_end().to_owned();
        let address = vm.split("<IP><![CDATA[").nth(1).unwrap().split(']').next().unwrap().to_owned();
        let deploy_id = case.input()["argv"][0].as_str().unwrap().to_owned();
        let post = || Call::Post { vm: vm.clone(), deploy_id: deploy_id.clone(), host: "node1".into() };
        assert!(matches!(grounds.call("nodeport", Call::Pre { vm: vm.clone() }).result, Some(Ok(_))));
        sh(&format!("ip route add {address}/32 dev other"));
        let outcome = grounds.call("nodeport", post());
        let Some(Err(failure)) = &outcome.result else { panic!("{outcome:?}") };
        assert!(failure.message.contains("one by another link is in the way"), "{failure}");
        assert!(sh("ip -4 route show").contains(&format!("{address} dev other")));
        sh(&format!("ip route del {address}/32 dev other"));
        for _ in 0..2 {
            let outcome = grounds.call("nodeport", post());
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        }
    });
}

/// What cannot be made for an address that is none leaves the others' interface closed.
#[test]
fn an_address_that_cannot_be_read_closes_the_machine() {
    isolated(|| {
        let mut grounds = host();
        let alias = "<NIC_ALIAS><NIC_ID>3</NIC_ID><PARENT_ID>2</PARENT_ID><VN_MAD>nodeport</VN_MAD><IP>10.0.0.999</IP>\
            </NIC_ALIAS></TEMPLATE>";
        let vm = machine(0).replace("</TEMPLATE>", alias);
        let outcome = grounds.call("nodeport", Call::Post { vm, deploy_id: "one-7".into(), host: "node1".into() });
        assert!(matches!(outcome.result, Some(Err(_))), "{outcome:?}");
        let rules = State::now().iptables;
        for nic in 1..=2 {
            assert!(rules.contains(&format!("-A one-7-{nic}-i -j DROP\n-A one-7-{nic}-o -j DROP\n")), "{rules}");
            assert!(rules.contains(&format!("-d 10.0.0.{nic}/32 -j one-7-{nic}-i\n")), "{rules}");
        }
    });
}

/// One gateway for all machines of a network: it is answered for as long as one of them is there.
#[test]
fn a_gateway_is_answered_for_while_a_machine_is_there() {
    isolated(|| {
        let mut grounds = host();
        sh("ip link add eth1 type veth peer name eth1p; ip link set eth1 master br0 up");
        let whole = |vm: u32| machine(0).replace("<ID>7</ID>", &format!("<ID>{vm}</ID>"));
        let ports = |vm: String| {
            let ports = "<EXTERNAL_PORT_RANGE>9100:9109</EXTERNAL_PORT_RANGE>\
                <INTERNAL_PORT_RANGE>1-10/9100</INTERNAL_PORT_RANGE>";
            vm.replacen("</NIC>", &format!("{ports}</NIC>"), 1)
        };
        let clean = |vm: String| Call::Clean { vm, host: "node1".into() };
        let mut call = |call: Call| {
            let outcome = grounds.call("nodeport", call);
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
            sh("ip neighbour show proxy")
        };
        let answered = "10.0.0.254 dev br0 proxy \n";
        let post = Call::Post { vm: ports(machine(0)), deploy_id: "one-7".into(), host: "node1".into() };
        assert_eq!(call(post), answered);
        // Another machine of the network, as its name says.
        sh("ip tuntap add dev one-8-1 mode tap; ip link set one-8-1 master br0 up");
        // One interface goes, and the other one of the machine stays.
        sh("ip link set one-8-1 nomaster; ip link del one-7-2");
        assert_eq!(call(clean(ports(machine(2)))), answered, "an interface stays");
        // The machine goes, and the other one stays.
        sh("ip link set one-8-1 master br0; ip link del one-7-1");
        assert_eq!(call(clean(ports(machine(0)))), answered, "a machine stays");
        // Whose tap has another name is a machine as well.
        sh("ip link set one-8-1 name web0");
        assert_eq!(call(clean(ports(machine(0)))), answered, "a machine of another name stays");
        sh("ip link set web0 name one-8-1");
        // Nobody keeps it by saying that the other one's port is its own.
        let called = ports(machine(0)).replace("<NIC_ID>2</NIC_ID>", "<NIC_ID>2</NIC_ID><TARGET>one-8-1</TARGET>");
        assert_eq!(call(clean(called)), answered, "it is not its port");
        // The last one, its tap still there.
        assert_eq!(call(clean(ports(whole(8)))), "");
    });
}

//! A whole host: machines on bridges, with rules, through the stubs of both subsystems and `qemu:///system`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_integration::recorded::{call, placed, recorded, running};
use remotes_integration::scene::{HOST, stdin, system_within as sh};
use remotes_integration::{Outcome, Scene};
use remotes_test_support::{Guest, mac};

/// Names of taps and bridges of the host.
fn links(scene: &Scene) -> Vec<String> {
    let listed = sh(scene, "ip -brief link show");
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    let mut names: Vec<String> =
        names.filter(|name| name.contains("one") || name.starts_with("br")).map(Into::into).collect();
    names.sort();
    names
}

/// Interfaces are plugged into bridges and out.
#[test]
fn recorded_calls_of_interfaces() {
    let Some(scene) = Scene::host() else { return };
    // The model that kvmrc does not name is one that this board has no slot for.
    scene.configure(&[("DEFAULT_ATTACH_NIC_MODEL", "virtio")]);
    sh(&scene, "for bridge in onebr1 onebr2; do ip link add $bridge type bridge; ip link set $bridge up; done");
    for recorded in recorded(&["attach_nic", "detach_nic"]) {
        let guest = running(&scene, &recorded);
        let attaches = recorded.action() == "attach_nic";
        let mac = recorded.argv[1].as_str();
        if !attaches {
            let nic = format!(
                "<interface type='bridge'><source bridge='onebr2'/><mac address='{mac}'/><model type='virtio'/></interface>"
            );
            fs::write(scene.path("nic"), nic).unwrap();
            let plugged = scene.virsh(&["attach-device", &guest.name, &scene.text("nic"), "--live"]);
            assert_eq!(plugged.code, 0, "{plugged:?}");
        }
        call(&scene, &recorded, &placed(&scene, &recorded.stdin));
        let plugged = scene.virsh(&["domiflist", &guest.name]).stdout;
        assert_eq!(plugged.contains(mac), attaches, "{}: {plugged}", recorded.file);
        if attaches {
            let (bridge, tap) = (&recorded.argv[2], &recorded.argv[5]);
            assert!(sh(&scene, &format!("ip link show master {bridge}")).contains(tap), "{}", recorded.file);
        }
        scene.destroy(&guest);
    }
}

/// One machine on one bridge, which may have a second interface.
struct Machine {
    guest: Guest,
    /// The interface that comes or goes.
    attached: Option<u32>,
    nics: u32,
}

impl Machine {
    fn nics(&self) -> String {
        let nic = |id: u32| {
            let mark = if self.attached == Some(id) { "<ATTACH>YES</ATTACH>" } else { "" };
            format!(
                "<NIC><NIC_ID>{id}</NIC_ID><VN_MAD>fw</VN_MAD><NETWORK_ID>0</NETWORK_ID><BRIDGE>br0</BRIDGE>\
                 <BRIDGE_TYPE>linux</BRIDGE_TYPE><MAC>{}</MAC><IP>10.0.0.{id}</IP><TARGET>one-7-{id}</TARGET>\
                 <SECURITY_GROUPS>0</SECURITY_GROUPS>{mark}</NIC>",
                mac(7, id)
            )
        };
        (0..self.nics).map(nic).collect()
    }

    /// What oned says of it to the network's drivers.
    fn document(&self) -> String {
        let rule = "<SECURITY_GROUP_RULE><PROTOCOL>ALL</PROTOCOL><RULE_TYPE>OUTBOUND</RULE_TYPE>\
                    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";
        format!(
            "<VM><ID>7</ID><DEPLOY_ID>{}</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY>\
             </HISTORY_RECORDS><TEMPLATE>{rule}{}</TEMPLATE></VM>",
            self.guest.uuid,
            self.nics()
        )
    }

    /// Calls an action of the network's driver.
    fn network(&self, scene: &Scene, action: &str, arguments: &[&str]) {
        let stub = scene.tree.named("vnm/fw").stub(action);
        let encoded = STANDARD.encode(self.document()) + "\n";
        Outcome::of(&mut scene.called(stub, arguments), &encoded).succeeded("");
    }

    /// Calls an action that plugs the marked interface in or out.
    fn plug(&self, scene: &Scene, action: &str, between: &[&str]) {
        let stub = scene.tree.stub(action);
        let mac = mac(7, self.attached.unwrap());
        let arguments = [&[self.guest.uuid.as_str(), &mac], between, &["7", HOST]].concat();
        let document = stdin(action, &self.guest).replace("<TEMPLATE>", &format!("<TEMPLATE>{}", self.nics()));
        Outcome::of(&mut scene.called(stub, arguments), &document).succeeded("");
    }
}

/// The chains of the machine's interfaces, of both families.
fn chains(scene: &Scene) -> Vec<String> {
    let rules = sh(scene, "iptables -S; ip6tables -S");
    let mut chains: Vec<String> =
        rules.lines().filter_map(|line| line.strip_prefix("-N one-")).map(str::to_owned).collect();
    chains.sort();
    chains
}

#[test]
fn a_machine_has_its_network_as_long_as_it_lives() {
    let Some(scene) = Scene::host() else { return };
    // The hypervisor's address is the default one.
    scene.tree.install_also("vnm/fw");
    let of_nic = |nic: u32| ["i", "i", "o", "o"].map(|end| format!("7-{nic}-{end}"));
    let guest = scene.guest(7);
    let mut machine = Machine { guest, attached: None, nics: 1 };
    machine.network(&scene, "pre", &[]);
    assert_eq!(links(&scene), ["br0"]);

    let interface = format!(
        "<interface type='bridge'><source bridge='br0'/><mac address='{}'/><target dev='one-7-0'/></interface></devices>",
        mac(7, 0)
    );
    let description = machine.guest.xml().replace("</devices>", &interface);
    let uuid = machine.guest.uuid.clone();
    Outcome::of(&mut scene.command("deploy", &machine.guest), &description).succeeded(&format!("{uuid}\n"));
    machine.network(&scene, "post", &[&uuid, HOST]);
    machine.guest.wait_up(1).unwrap();
    assert_eq!(links(&scene), ["br0", "one-7-0"]);
    assert_eq!(chains(&scene), of_nic(0));

    // A second interface.
    machine = Machine { attached: Some(1), nics: 2, ..machine };
    machine.network(&scene, "pre", &[]);
    machine.plug(&scene, "attach_nic", &["br0", "-", "fw", "one-7-1"]);
    machine.network(&scene, "post", &[&uuid, HOST]);
    assert_eq!(links(&scene), ["br0", "one-7-0", "one-7-1"]);
    assert_eq!(chains(&scene), [of_nic(0), of_nic(1)].concat());

    // It goes, and leaves the first one alone.
    machine.plug(&scene, "detach_nic", &[]);
    machine.network(&scene, "clean", &[HOST]);
    assert_eq!(links(&scene), ["br0", "one-7-0"]);
    assert_eq!(chains(&scene), of_nic(0));

    machine = Machine { attached: None, nics: 1, ..machine };
    scene.does("shutdown", &machine.guest);
    machine.network(&scene, "clean", &[HOST]);
    assert_eq!((links(&scene).len(), chains(&scene).len()), (0, 0));
}

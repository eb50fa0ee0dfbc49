//! `remotes vnm show` on real links and rules, in a network namespace of the command's own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use remotes_integration::{Outcome, dist};
use remotes_test_support::skipped;
use serde_json::Value;

/// A bridge with a machine that is filtered, and one whose rules somebody took away by half.
const NETWORK: &str = "set -e
    ip link add br0 type bridge
    for port in one-7-0 one-8-1; do ip tuntap add dev $port mode tap; ip link set $port master br0 up; done
    ip link add eth1 type veth peer name peer
    ip link set eth1 master br0
    ip link set br0 up
    ipset create one-7-0-100-i-nr-inet hash:net,port
    ipset add one-7-0-100-i-nr-inet 10.0.0.0/8,tcp:22
    for tables in iptables ip6tables; do
        $tables -N opennebula
        $tables -A FORWARD -m physdev --physdev-is-bridged -j opennebula
        for base in one-7-0 one-8-1; do
            $tables -N $base-i; $tables -A $base-i -j DROP
            $tables -N $base-o; $tables -A $base-o -p tcp -j RETURN; $tables -A $base-o -j DROP
            $tables -A opennebula -j $base-i; $tables -A opennebula -j $base-o
            $tables -A INPUT -m physdev --physdev-in $base -j $base-o
        done
    done
    ip6tables -D opennebula -j one-8-1-o";

/// Open vSwitch is not installed, as far as programs see.
const NO_SWITCH: &str = "
    for folder in /usr/sbin /usr/bin /sbin /bin; do
        if [ -f $folder/ovs-vsctl ]; then mount --bind /dev/null $folder/ovs-vsctl; fi
    done";

/// It is, and does not run.
const IDLE_SWITCH: &str = "
    mkdir -p /run/openvswitch
    mount -t tmpfs tmpfs /run/openvswitch";

/// What the command prints there, as this user, on a host without Open vSwitch.
fn show(arguments: &str, user: &str) -> Option<Outcome> {
    show_with(NO_SWITCH, arguments, user)
}

fn show_with(more: &str, arguments: &str, user: &str) -> Option<Outcome> {
    if std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).unwrap() != 0 {
        skipped("network namespaces need root");
        return None;
    }
    let program = dist().join("bin/remotes");
    let script = format!(
        "{NETWORK}{more}\nexec setpriv --reuid {user} --clear-groups '{}' vnm show {arguments}",
        program.display()
    );
    Some(Outcome::of(Command::new("unshare").args(["--net", "--mount", "sh", "-c", &script]), ""))
}

#[test]
fn bridges_machines_and_their_rules_are_shown() {
    let Some(outcome) = show("", "0") else { return };
    let expected = "this host
└─ bridge br0 (up, MTU 1500)
   ├─ uplink eth1 (veth, down)
   ├─ VM 7
   │  └─ NIC 0: one-7-0 (MAC, up)
   │     ├─ IPv4: 1 rule in, 2 out
   │     ├─ IPv6: 1 rule in, 2 out
   │     ├─ security groups with networks: 100
   │     └─ set one-7-0-100-i-nr-inet: 1 member
   └─ VM 8
      └─ NIC 1: one-8-1 (MAC, up)
         ├─ IPv4: 1 rule in, 2 out
         └─ IPv6: BROKEN: the chains are not in force; `update_sg` or `post` makes them again
";
    // Addresses are the kernel's choice.
    let shown: Vec<String> = outcome
        .stdout
        .lines()
        .map(|line| match line.split_once(" (").filter(|_| line.contains("NIC ")) {
            Some((head, tail)) => format!("{head} (MAC{}", &tail[17..]),
            None => line.to_owned(),
        })
        .collect();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(shown.join("\n") + "\n", expected, "{}", outcome.stdout);
}

#[test]
fn the_same_as_json_and_as_a_graph() {
    let Some(outcome) = show("--json", "0") else { return };
    let host: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let machines = host["bridges"][0]["machines"].as_array().unwrap();
    let states: Vec<_> = machines.iter().map(|vm| vm["interfaces"][0]["ipv6"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["in-force", "broken"]);
    assert_eq!(host["unseen"].as_array().map(Vec::len), Some(0));

    let Some(outcome) = show("--dot", "0") else { return };
    let edges = ["\"bridge br0\" -- \"nic 7 0\"", "\"nic 8 1\" -- \"vm 8\"", "\"link eth1\" -- \"bridge br0\""];
    assert!(edges.iter().all(|edge| outcome.stdout.contains(edge)), "{}", outcome.stdout);
    assert!(outcome.stdout.starts_with("graph vnm {\n") && outcome.stdout.ends_with("}\n"), "{}", outcome.stdout);
}

#[test]
fn without_rights_links_are_shown_and_the_rest_is_named() {
    let Some(outcome) = show("", "65534") else { return };
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.stdout.contains("bridge br0") && outcome.stdout.contains("NIC 0: one-7-0"), "{}", outcome.stdout);
    let unseen = outcome.stdout.split_once("not seen\n").unwrap().1;
    for what in ["rules of IPv4: ", "rules of IPv6: ", "sets of addresses: "] {
        assert!(unseen.contains(what), "{}", outcome.stdout);
    }
    assert!(outcome.stdout.contains("IPv4: not seen"), "{}", outcome.stdout);
}

/// The chains do not say from which group a rule comes: the machine's description does, beside its disks.
#[test]
fn groups_are_those_that_a_machine_was_deployed_with() {
    const NIC: &str = "<VM><TEMPLATE><NIC><NIC_ID>0</NIC_ID><MAC>02:00:0a:00:00:07</MAC>";
    let datastores = tempfile::tempdir().unwrap();
    let description = |store: &str, vm: u32, text: &str| {
        let folder = datastores.path().join(store).join(vm.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("vm.xml"), text).unwrap();
    };
    let groups = "<SECURITY_GROUPS>0,100</SECURITY_GROUPS></NIC><SECURITY_GROUP_RULE><SECURITY_GROUP_ID>100\
        </SECURITY_GROUP_ID><SECURITY_GROUP_NAME>web\u{202e}</SECURITY_GROUP_NAME></SECURITY_GROUP_RULE></TEMPLATE></VM>";
    description("1", 7, &format!("{NIC}{groups}"));
    description("1", 8, "no document");
    // Nobody's: no datastore, no machine of this host.
    description("tmp", 7, "no document");
    description("1", 9, "no document");
    let show = |mac: &str, more: &str| {
        let set = format!("{NO_SWITCH}\nip link set one-7-0 address {mac}");
        show_with(&set, &format!("--datastores '{}' {more}", datastores.path().display()), "0")
    };
    let Some(outcome) = show("fe:00:0a:00:00:07", "") else { return };
    let unseen = "security groups that machines were deployed with: VM 8: vm.xml: ";
    for line in ["─ security groups, as deployed: 0, 100 (web\\u{202e})\n", unseen] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
    for none in ["with networks", "VM 9", "more)"] {
        assert!(!outcome.stdout.contains(none), "{none}: {}", outcome.stdout);
    }
    let json = show("fe:00:0a:00:00:07", "--json").unwrap();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let interface = |vm: usize| &json["bridges"][0]["machines"][vm]["interfaces"][0];
    assert_eq!(interface(0)["deployed_groups"][0], serde_json::json!({"id": 0, "name": null}));
    assert_eq!(
        (&interface(1)["deployed_groups"], &interface(0)["groups_with_networks"][0]),
        (&Value::Null, &100.into())
    );
    assert!(
        show("fe:00:0a:00:00:07", "--dot").unwrap().stdout.contains("\\nsecurity groups, as deployed: 0, 100 (web")
    );
    // The number is another interface's now.
    let other = show("fe:00:0a:00:00:09", "").unwrap().stdout;
    assert!(!other.contains("as deployed") && other.contains("security groups with networks: 100"), "{other}");
}

/// The newest description is the one that counts: a move to another datastore may have left one behind.
#[test]
fn the_newest_description_counts() {
    let datastores = tempfile::tempdir().unwrap();
    for (store, group, age) in [("100", 1, 60), ("99", 2, 0), ("98", 3, 120)] {
        let folder = datastores.path().join(store).join("7");
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::fs::File::create(folder.join("vm.xml")).unwrap();
        let text = format!(
            "<VM><TEMPLATE><NIC><NIC_ID>0</NIC_ID><MAC>02:00:0a:00:00:07</MAC><SECURITY_GROUPS>{group}</SECURITY_GROUPS>\
             </NIC></TEMPLATE></VM>"
        );
        std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
    }
    let set = format!("{NO_SWITCH}\nip link set one-7-0 address fe:00:0a:00:00:07");
    let Some(outcome) = show_with(&set, &format!("--datastores '{}'", datastores.path().display()), "0") else {
        return;
    };
    assert!(outcome.stdout.contains("security groups, as deployed: 2\n"), "{}", outcome.stdout);
}

#[test]
fn a_switch_that_does_not_answer_is_named() {
    if !["/usr/bin/ovs-vsctl", "/usr/sbin/ovs-vsctl"].iter().any(|it| std::path::Path::new(it).is_file()) {
        return remotes_test_support::skipped("Open vSwitch is not installed; `make setup` does it");
    }
    let Some(outcome) = show_with(IDLE_SWITCH, "", "0") else { return };
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    let unseen = outcome.stdout.split_once("└─ not seen\n").unwrap().1;
    assert_eq!(unseen.lines().count(), 1, "{}", outcome.stdout);
    assert!(unseen.contains("bridges of Open vSwitch: ") && unseen.contains("is ovsdb-server running?"), "{unseen}");
    assert!(outcome.stdout.contains("bridge br0"), "{}", outcome.stdout);
}

/// Without rules of FORWARD that lead there, the chains are of no use.
#[test]
fn chains_that_forward_does_not_lead_to_are_broken() {
    let more = format!("{NO_SWITCH}\nip6tables -F FORWARD; iptables -I FORWARD -j DROP; iptables -F INPUT");
    let Some(outcome) = show_with(&more, "", "0") else { return };
    for broken in ["IPv4: BROKEN: rule 1 of FORWARD takes packets", "IPv6: BROKEN: FORWARD does not lead"] {
        assert!(outcome.stdout.contains(broken), "{}", outcome.stdout);
    }
}

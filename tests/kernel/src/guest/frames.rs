//! Frames through ports that a driver has set up. What the switch's daemon has decided once, the kernel does by
//! itself from then on: it is looked at while the daemon is stopped, when nothing else passes a frame on.

use remotes_network_tests::{Case, Wired, sh, wait_for};

use crate::{host, switch};

/// The port that the driver sets up, the uplink, and machines in VLANs 41 and 42.
const PORTS: [(&str, &str); 4] = [("one-60-0", ""), ("eth1", ""), ("one-41-0", "tag=41"), ("one-42-0", "tag=42")];

/// From where, with which tag, and where it comes out.
const FRAMES: [(&str, Option<u16>, &[&str]); 9] = [
    ("one-60-0", None, &["eth1", "one-42-0"]),
    ("one-60-0", Some(41), &[]),
    ("one-60-0", Some(42), &[]),
    ("eth1", None, &[]),
    ("eth1", Some(41), &["one-41-0"]),
    ("eth1", Some(42), &["one-60-0", "one-42-0"]),
    ("eth1", Some(43), &[]),
    ("one-41-0", None, &["eth1"]),
    ("one-42-0", None, &["one-60-0", "eth1"]),
];

/// What frames carry: while the kernel learns, when it is looked at, and at the end.
const LEARN: &[u8] = b"to learn";
const LOOK: &[u8] = b"to look at";
const END: &[u8] = b"to end";

/// A machine of VLAN 42 reaches that VLAN alone, and is reached from there alone.
pub fn by_frames(case: &Case) {
    host::configure(case, ":ovs_vlan_access: true\n");
    // What was decided is forgotten when it is not used for ten seconds, which a busy machine may take.
    sh("ovs-vsctl --timeout=20 add-br ovsbr0 -- set Open_vSwitch . other_config:max-idle=600000");
    let machines: Vec<Wired> = PORTS.iter().map(|(port, columns)| Wired::plug("ovsbr0", port, columns)).collect();
    let outcome = host::act(case);
    assert!(switch::in_kernel(), "{}", outcome.stderr);

    let send_all = |mark: &[u8]| {
        for (number, (from, tag, _)) in FRAMES.iter().enumerate() {
            let from = PORTS.iter().position(|(port, _)| port == from).unwrap();
            machines[from].send(&frame(from, *tag, mark, number));
        }
    };
    wait_for("the kernel asks the daemon no more", || {
        sh("ovs-appctl --timeout=20 revalidator/wait");
        let before = asked();
        send_all(LEARN);
        asked() == before
    });
    // Tags of received frames are not among their bytes; the kernel says with which they leave.
    let flows = sh("ovs-dpctl --timeout=20 --names dump-flows system@ovs-system");
    for (from, tag) in [("one-60-0", "42"), ("one-42-0", "42"), ("one-41-0", "41")] {
        assert!(flows.lines().any(|flow| leaves(flow, from) == Some(tag)), "{from}: {flows}");
    }

    let before = asked();
    sh("kill -STOP $(cat /run/openvswitch/ovs-vswitchd.pid)");
    send_all(LOOK);
    assert_eq!(asked(), before, "the kernel asked the daemon");
    sh("kill -CONT $(cat /run/openvswitch/ovs-vswitchd.pid)");
    for (machine, (port, _)) in machines.iter().zip(PORTS) {
        // This comes out there whatever may reach it.
        let end: String = frame(0, None, END, 0).iter().map(|byte| format!("{byte:02x}")).collect();
        sh(&format!(
            "ovs-ofctl --timeout=20 packet-out ovsbr0 'in_port=CONTROLLER packet={end} actions=output:{port}'"
        ));
        let expected: Vec<usize> = (0..FRAMES.len()).filter(|number| FRAMES[*number].2.contains(&port)).collect();
        let mut seen: Vec<usize> = machine.until(LOOK, END).iter().map(|frame| number(frame)).collect();
        seen.sort_unstable();
        assert_eq!(seen, expected, "frames that came out of {port}");
    }
}

/// How often the kernel did not know what to do with a frame.
fn asked() -> u64 {
    let shown = sh("ovs-dpctl --timeout=20 show system@ovs-system");
    shown.split("missed:").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap()
}

/// With which tag a flow's frames, which came in at this port, leave by the uplink:
/// `in_port(one-60-0),…, actions:push_vlan(vid=42,pcp=0),ovsbr0,eth1,pop_vlan,one-42-0`.
fn leaves<'a>(flow: &'a str, from: &str) -> Option<&'a str> {
    let (head, actions) = flow.split_once("actions:")?;
    let mut tag = head.contains(&format!("in_port({from})")).then_some("none")?;
    for action in actions.split(',') {
        match action.strip_prefix("push_vlan(vid=") {
            Some(pushed) => tag = pushed,
            None if action == "pop_vlan" => tag = "none",
            None if action == "eth1" => return Some(tag),
            None => {}
        }
    }
    None
}

/// A frame to everybody, of a kind for experiments.
fn frame(from: usize, tag: Option<u16>, mark: &[u8], number: usize) -> Vec<u8> {
    let [from, number] = [from, number].map(|it| u8::try_from(it).unwrap());
    let tag = tag.map(|tag| [0x8100_u16.to_be_bytes(), tag.to_be_bytes()].concat()).unwrap_or_default();
    let mut frame = [&[0xff; 6], &[2, 0, 0, 0, 1, from][..], &tag, &[0x88, 0xb5], mark, &[number]].concat();
    frame.resize(60, 0);
    frame
}

fn number(frame: &[u8]) -> usize {
    let place = frame.windows(LOOK.len()).position(|part| part == LOOK).unwrap();
    frame[place + LOOK.len()].into()
}

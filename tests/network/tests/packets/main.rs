//! Random machines with random security groups, and packets that are really sent to them, from them and
//! between their interfaces: what arrives is what a small model of security groups says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;
mod template;
mod wire;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use remotes_effect::vnm::Call;
use remotes_network_tests::{Grounds, State, assert_state, isolated, sh};

use model::{Content, Packet};
use template::{SOMEBODY, Template, Trial, Way, template, trials};
use wire::Wire;

/// `PROPTEST_CASES` asks for more.
fn config(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 12, ..ProptestConfig::default() }
}

/// Long enough for a packet on its way.
const PATIENCE: Duration = Duration::from_secs(10);

fn post(template: &Template) -> Call {
    Call::Post { vm: template.document(), deploy_id: "one-7".into(), host: "h".into() }
}

fn done(grounds: &mut Grounds, call: Call) {
    let outcome = grounds.call("fw", call);
    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
}

/// Links to both interfaces of the machine and to somebody else.
struct Links {
    nics: [Wire; 2],
    somebody: Wire,
    sent: u32,
}

impl Links {
    fn plug() -> Self {
        sh("ip link add br0 type bridge; ip link set br0 up");
        sh("sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1");
        let nics = [0, 1].map(|nic| Wire::plug(&format!("one-7-{nic}"), template::mac(nic)));
        let mut links = Self { nics, somebody: Wire::plug("eth1", SOMEBODY), sent: 0 };
        // Until every link carries, and the bridge knows who is behind which port.
        let started = Instant::now();
        while !links.all_arrived(Duration::from_millis(20)) {
            assert!(started.elapsed() < PATIENCE, "the links do not carry");
        }
        links
    }

    fn wire(&self, nic: Option<usize>) -> &Wire {
        nic.map_or(&self.somebody, |nic| &self.nics[nic])
    }

    const ALL: [Option<usize>; 3] = [None, Some(0), Some(1)];

    fn number(&mut self) -> u32 {
        self.sent += 1;
        self.sent
    }

    /// Sends frames, and returns the numbers of those that arrived where they should.
    fn send(&mut self, frames: &[(Way, u32, Vec<u8>)], expected: &BTreeSet<u32>) -> BTreeSet<u32> {
        frames.iter().for_each(|(way, _, frame)| self.wire(way.from).send(frame));
        let (mut arrived, started) = (BTreeSet::new(), Instant::now());
        let ends = self.ends();
        for to in Self::ALL {
            let meant: BTreeSet<u32> =
                frames.iter().filter(|frame| frame.0.to == to).map(|(_, number, _)| *number).collect();
            let mut waited: BTreeSet<u32> = ends.iter().filter(|(_, other)| *other == to).map(|end| end.0).collect();
            waited.extend(expected.intersection(&meant));
            while !waited.is_empty() && started.elapsed() < PATIENCE {
                let Some(number) = self.wire(to).receive(Duration::from_millis(100)) else { continue };
                waited.remove(&number);
                arrived.extend(meant.get(&number));
            }
        }
        arrived
    }

    /// Sends what passes always from every machine to every other.
    fn ends(&mut self) -> Vec<(u32, Option<usize>)> {
        let mut ends = Vec::new();
        for from in Self::ALL {
            for to in Self::ALL.into_iter().filter(|to| *to != from) {
                let number = self.number();
                self.wire(from).send(&wire::end(self.wire(from).mac, self.wire(to).mac, number));
                ends.push((number, to));
            }
        }
        ends
    }

    fn all_arrived(&mut self, wait: Duration) -> bool {
        let ends = self.ends();
        Self::ALL.into_iter().all(|to| {
            let mut waited: BTreeSet<u32> = ends.iter().filter(|(_, other)| *other == to).map(|end| end.0).collect();
            while let Some(number) = self.wire(to).receive(wait) {
                waited.remove(&number);
                if waited.is_empty() {
                    return true;
                }
            }
            false
        })
    }
}

/// Whether the model lets a packet pass on its way.
fn passes(template: &Template, trial: &Trial) -> bool {
    let (interfaces, rules) = (template.interfaces(), &template.rules);
    trial.way.from.is_none_or(|nic| interfaces[nic].lets_out(rules, &trial.packet))
        && trial.way.to.is_none_or(|nic| interfaces[nic].lets_in(rules, &trial.packet))
}

/// The port that nothing else has to do with.
fn own_port(number: u32) -> u16 {
    u16::try_from(20_000 + number).unwrap()
}

fn compare(
    what: &str,
    template: &Template,
    trials: &[(u32, &Trial)],
    arrived: &BTreeSet<u32>,
    expected: &BTreeSet<u32>,
) {
    for (number, trial) in trials {
        let (arrived, expected) = (arrived.contains(number), expected.contains(number));
        assert_eq!(arrived, expected, "{what} arrived, as the model has it: {trial:?}\n{}", template.document());
    }
}

fn meets_the_model(template: &Template, trials: &[Trial]) {
    let mut links = Links::plug();
    let mut grounds = Grounds::default();
    grounds.domain(&template.domain());
    done(&mut grounds, post(template));

    let numbered: Vec<(u32, &Trial)> = trials.iter().map(|trial| (links.number(), trial)).collect();
    let frames: Vec<_> = numbered
        .iter()
        .map(|(number, trial)| {
            let to = links.wire(trial.way.to).mac;
            (trial.way, *number, wire::frame(&trial.packet, to, own_port(*number), *number))
        })
        .collect();
    let expected = numbered.iter().filter(|(_, trial)| passes(template, trial)).map(|(number, _)| *number).collect();
    let arrived = links.send(&frames, &expected);
    compare("a packet", template, &numbered, &arrived, &expected);

    // What has passed is answered.
    let mut frames = Vec::new();
    let (mut answers, mut expected) = (Vec::new(), BTreeSet::new());
    for (first, trial) in numbered.iter().filter(|(number, _)| arrived.contains(number)) {
        if !matches!(trial.packet.content, Content::Tcp(_) | Content::Udp(_)) {
            continue;
        }
        let (number, way) = (links.number(), Way { from: trial.way.to, to: trial.way.from });
        let packet = Packet {
            source: trial.packet.destination,
            destination: trial.packet.source,
            mac: links.wire(way.from).mac,
            content: trial.packet.content,
        };
        frames.push((way, number, wire::answer(&packet, links.wire(way.to).mac, own_port(*first), number)));
        if way.from.is_none_or(|nic| template.interfaces()[nic].lets_answer(&packet)) {
            expected.insert(number);
        }
        answers.push((number, Trial { way, packet }));
    }
    let arrived = links.send(&frames, &expected);
    let answers: Vec<(u32, &Trial)> = answers.iter().map(|(number, trial)| (*number, trial)).collect();
    compare("an answer", template, &answers, &arrived, &expected);
}

fn comes_and_goes(template: &Template) {
    sh("ip link add br0 type bridge; ip link set br0 up");
    let other = another();
    for port in (0..template.nics.len()).map(|nic| format!("one-7-{nic}")).chain(["one-9-0".to_owned()]) {
        sh(&format!("ip tuntap add dev {port} mode tap; ip link set {port} master br0 up"));
    }
    let mut grounds = Grounds::default();
    grounds.domain(&template.domain());
    grounds.domain(&other.1);
    // Another machine is there, so that what the host keeps for all of them is, too.
    done(&mut grounds, Call::Post { vm: other.0, deploy_id: "one-9".into(), host: "h".into() });
    let before = State::now();
    done(&mut grounds, post(template));
    let with = State::now();
    assert_ne!(with.iptables, before.iptables, "the interfaces have rules");
    done(&mut grounds, post(template));
    assert_state(&State::now(), &with, "after the second post");
    done(&mut grounds, Call::Clean { vm: template.document(), host: "h".into() });
    assert_state(&State::now(), &before, "after clean");
}

/// Document and domain of a machine that is not random.
fn another() -> (String, String) {
    let document = "<VM><ID>9</ID><DEPLOY_ID>one-9</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY>\
        </HISTORY_RECORDS><TEMPLATE><NIC><NIC_ID>0</NIC_ID><VN_MAD>fw</VN_MAD><BRIDGE>br0</BRIDGE>\
        <MAC>02:00:00:00:00:09</MAC><IP>10.9.0.99</IP><FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>\
        <SECURITY_GROUPS>0</SECURITY_GROUPS></NIC></TEMPLATE></VM>";
    let domain = "<domain type='kvm'><name>one-9</name><devices><interface type='bridge'>\
        <mac address='02:00:00:00:00:09'/><target dev='one-9-0'/></interface></devices></domain>";
    (document.to_owned(), domain.to_owned())
}

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn packets_pass_as_the_model_says(
        (template, trials) in template(2)
            .prop_flat_map(|template| { let trials = trials(&template); (Just(template), trials) })
    ) {
        isolated(move || meets_the_model(&template, &trials));
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn post_then_clean_leaves_the_host_as_it_was(template in template(1..=4)) {
        isolated(move || comes_and_goes(&template));
    }
}

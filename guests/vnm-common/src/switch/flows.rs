//! Flows for the packets that come in by an interface's port: table 0 has the note, table 10 looks at
//! Ethernet addresses, table 20 at IP addresses.

use remotes_sdk::Failure;
use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::openvswitch::{Action, Condition, Flow, ListedFlow, Protocol};

use crate::settings::Settings;

const MACS: u8 = 10;
const ADDRESSES: u8 = 20;

/// What ties a flow to an interface: the numbers of machine and interface.
fn note(vm: &Vm, nic: &Nic) -> Vec<u8> {
    let interface = u16::try_from(nic.id).unwrap_or(u16::MAX);
    vm.id.to_be_bytes().into_iter().chain(interface.to_be_bytes()).collect()
}

/// The numbers of ports, in their order, that have flows of this interface: those with its note, or in
/// default of such, with its Ethernet address.
pub fn ports_of(listed: &[ListedFlow], vm: &Vm, nic: &Nic) -> Vec<u32> {
    let mac = format!("dl_src={}", nic.mac.to_ascii_lowercase());
    let noted = noted(listed, vm, nic);
    if noted.is_empty() { inputs(listed, |flow| flow.conditions.contains(&mac)) } else { noted }
}

/// The numbers of ports, in their order, whose flows carry the note of this interface.
pub fn noted(listed: &[ListedFlow], vm: &Vm, nic: &Nic) -> Vec<u32> {
    let bytes: Vec<String> = note(vm, nic).iter().map(|byte| format!("{byte:02x}")).collect();
    let note = format!("note:{}", bytes.join("."));
    inputs(listed, |flow| flow.actions.split(',').any(|action| action == note))
}

fn inputs(listed: &[ListedFlow], is_its: impl Fn(&ListedFlow) -> bool) -> Vec<u32> {
    let mut inputs: Vec<u32> = listed.iter().filter(|flow| is_its(flow)).filter_map(|flow| flow.input).collect();
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}

/// The aliases of an interface.
pub fn aliases<'a>(vm: &'a Vm, nic: &Nic) -> impl Iterator<Item = &'a Nic> {
    let id = nic.id;
    vm.aliases.iter().filter(move |alias| alias.parent_id == Some(id))
}

/// The flows of an interface. Aliases add their addresses where their own networks ask for filters.
pub fn of(vm: &Vm, nic: &Nic, settings: &Settings) -> Result<Vec<Flow>, Failure> {
    of_with(vm, nic, aliases(vm, nic), settings)
}

/// As [`of`], with these of its aliases.
pub fn of_with<'a>(
    vm: &Vm,
    nic: &'a Nic,
    aliases: impl Iterator<Item = &'a Nic>,
    settings: &Settings,
) -> Result<Vec<Flow>, Failure> {
    let mut flows = Flows(vec![
        flow(0, 100, vec![], vec![Action::Note(note(vm, nic)), Action::Resubmit(MACS)]),
        flow(MACS, 100, vec![], vec![Action::Resubmit(ADDRESSES)]),
        flow(ADDRESSES, 100, vec![], vec![Action::Normal]),
    ]);
    let members: Vec<&Nic> = std::iter::once(nic).chain(aliases).collect();
    for (wants, add) in [
        ((|it: &Nic| it.filter_mac_spoofing) as fn(&Nic) -> bool, Flows::macs as fn(&mut Flows, &Nic, bool)),
        (|it| it.filter_ip_spoofing, Flows::addresses),
    ] {
        // What an alias is filtered for must not cut its interface off.
        if members.iter().any(|it| wants(it)) {
            for member in members.iter().filter(|it| it.id == nic.id || wants(it)) {
                add(&mut flows, member, settings.is(member, "arp_cache_poisoning")?);
            }
        }
    }
    Ok(flows.0)
}

fn flow(table: u8, priority: u16, conditions: Vec<Condition>, actions: Vec<Action>) -> Flow {
    Flow { table, priority, conditions, actions }
}

struct Flows(Vec<Flow>);

impl Flows {
    /// Adds a flow, unless it is there.
    fn add(&mut self, table: u8, priority: u16, conditions: Vec<Condition>, actions: Vec<Action>) {
        let flow = flow(table, priority, conditions, actions);
        if !self.0.contains(&flow) {
            self.0.push(flow);
        }
    }

    /// Only packets from this Ethernet address; with `arp`, those of ARP as well.
    fn macs(&mut self, nic: &Nic, arp: bool) {
        let on = || vec![Action::Resubmit(ADDRESSES)];
        let from = || Condition::FromMac(nic.mac.clone());
        if arp {
            self.add(MACS, 50000, vec![Condition::Protocol(Protocol::Arp), from()], on());
        }
        self.add(MACS, 45000, vec![from()], on());
        self.add(MACS, 40000, vec![], vec![]);
    }

    /// Only packets from these IP addresses, and what a machine says before it has one; with `arp`, only
    /// those of ARP that tell the truth.
    fn addresses(&mut self, nic: &Nic, arp: bool) {
        let is = Condition::Protocol;
        let from = |address: &str| Condition::FromAddress(address.to_owned());
        let pass = || vec![Action::Normal];
        for address in [&nic.addresses.ip, &nic.vrouter.ip].into_iter().flatten() {
            if arp {
                self.add(ADDRESSES, 50000, vec![is(Protocol::Arp), from(address)], pass());
            }
            self.add(ADDRESSES, 45000, vec![is(Protocol::Ipv4), from(address)], pass());
        }
        if arp {
            self.add(ADDRESSES, 49000, vec![is(Protocol::Arp)], vec![]);
        }
        let dhcp = vec![
            is(Protocol::Udp),
            from("0.0.0.0"),
            Condition::ToAddress("255.255.255.255".to_owned()),
            Condition::FromPort(68),
            Condition::ToPort(67),
        ];
        self.add(ADDRESSES, 44000, dhcp, pass());
        for address in nic.addresses.ipv6().chain(nic.vrouter.ipv6()) {
            self.add(ADDRESSES, 45000, vec![is(Protocol::Ipv6), from(address)], pass());
        }
        // Router and neighbour solicitation of a machine that looks for an address.
        for kind in [133, 135] {
            self.add(ADDRESSES, 44000, vec![is(Protocol::Icmpv6), from("::"), Condition::IcmpType(kind)], pass());
        }
        self.add(ADDRESSES, 40000, vec![is(Protocol::Ipv4)], vec![]);
        self.add(ADDRESSES, 40000, vec![is(Protocol::Ipv6)], vec![]);
    }
}

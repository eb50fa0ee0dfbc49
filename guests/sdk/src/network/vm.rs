//! The virtual machine, as far as networks are concerned.

use std::collections::BTreeMap;

use super::Nic;
use super::nic::is_given;
use crate::Failure;
use crate::xml::{Document, Element};

/// Which way packets go, as the machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// into the machine
    Inbound,
    /// out of it
    Outbound,
}

/// One rule of a security group, its values as they are given: an empty one is not the same as none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRule {
    /// id of the group; none where that is no number, and then it is no group's
    pub group: Option<u32>,
    /// RULE_TYPE; whatever is not inbound is outbound
    pub direction: Option<Direction>,
    /// in lower case
    pub protocol: Option<String>,
    /// `22,80:90`
    pub range: Option<String>,
    /// number of an ICMP type
    pub icmp_type: Option<String>,
    /// number of an ICMPv6 type
    pub icmpv6_type: Option<String>,
    /// how many addresses, beginning with each of `networks`
    pub size: Option<String>,
    /// first addresses: IP, IP6_GLOBAL, IP6_ULA, IP6
    pub networks: Vec<String>,
    /// whether the rule is for networks at all
    pub is_for_networks: bool,
}

/// What an action is about, where it is not about the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// an interface
    Nic(u32),
    /// an alias
    Alias(u32),
    /// a PCI device
    Pci(u32),
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vm {
    /// its id
    pub id: u32,
    /// how the hypervisor knows it
    pub deploy_id: Option<String>,
    /// its hypervisor's driver
    pub vm_mad: String,
    /// all interfaces
    pub nics: Vec<Nic>,
    /// all aliases
    pub aliases: Vec<Nic>,
    /// all PCI devices that are interfaces
    pub pcis: Vec<Nic>,
    /// rules of all security groups, in their order
    pub rules: Vec<GroupRule>,
    /// Values from before a network was changed, by name; empty where there was none. None where no
    /// network was changed.
    pub update: Option<BTreeMap<String, String>>,
}

impl Vm {
    /// Reads the document that a driver's function gets as `vm`. Parts may come in several `TEMPLATE`s.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let document = Document::parse(text)?;
        if document.root().name() != "VM" {
            let found = document.root().name();
            return Err(Failure::invalid(format!(
                "the document of the virtual machine: expected <VM>, found <{found}>"
            )));
        }
        let id = document.text("ID").unwrap_or_default();
        let id = id.trim().parse().map_err(|_| {
            Failure::invalid(format!("the document of the virtual machine: ID is {id:?}, expected a number"))
        })?;
        let vm_mad = document.elements("HISTORY_RECORDS/HISTORY/VM_MAD").into_iter().find_map(Element::value);
        let vm_mad = vm_mad.ok_or_else(|| {
            let path = "HISTORY_RECORDS/HISTORY/VM_MAD";
            Failure::invalid(format!("the document of virtual machine {id} has no {path}: its hypervisor is not known"))
        })?;
        let nics = |kind: &str| -> Vec<Nic> {
            let elements = document.elements(&format!("TEMPLATE/{kind}"));
            elements.into_iter().map(|element| Nic::read(element, text)).collect()
        };
        let update = document.first("TEMPLATE/VNET_UPDATE").map(|update| {
            let values = update.children().filter(|element| is_given(*element, text));
            values.map(|element| (element.name().to_owned(), element.value().unwrap_or_default().to_owned())).collect()
        });
        let rules = document.elements("TEMPLATE/SECURITY_GROUP_RULE");
        Ok(Self {
            id,
            deploy_id: document.text("DEPLOY_ID").map(str::to_owned),
            vm_mad: vm_mad.to_owned(),
            nics: nics("NIC"),
            aliases: nics("NIC_ALIAS"),
            pcis: nics("PCI"),
            rules: rules.into_iter().map(|element| rule(element, text)).collect(),
            update,
        })
    }

    /// The interfaces of one driver.
    pub fn nics_of<'a>(&'a self, driver: &'a str) -> impl Iterator<Item = &'a Nic> {
        self.nics.iter().filter(move |nic| nic.vn_mad == driver)
    }

    /// What is being attached or detached: an interface, or else an alias, or else a PCI device.
    pub fn attached(&self) -> Option<Attached> {
        let marked = |nics: &[Nic]| nics.iter().find(|nic| nic.attach).map(|nic| nic.id);
        marked(&self.nics)
            .map(Attached::Nic)
            .or_else(|| marked(&self.aliases).map(Attached::Alias))
            .or_else(|| marked(&self.pcis).map(Attached::Pci))
    }

    /// The aliases of an interface: those that say so, and those that say nothing and that it names.
    pub fn aliases_of<'a>(&'a self, nic: &'a Nic) -> impl Iterator<Item = &'a Nic> {
        self.aliases
            .iter()
            .filter(|alias| alias.parent_id.map_or_else(|| nic.alias_ids.contains(&alias.id), |id| id == nic.id))
    }
}

fn rule(element: Element<'_, '_>, document: &str) -> GroupRule {
    let text = |name: &str| {
        let given = element.first(name).filter(|value| is_given(*value, document))?;
        Some(given.value().unwrap_or_default().trim().to_owned())
    };
    let direction = |kind: String| match kind.eq_ignore_ascii_case("inbound") {
        true => Direction::Inbound,
        false => Direction::Outbound,
    };
    GroupRule {
        group: text("SECURITY_GROUP_ID").and_then(|id| id.parse().ok()),
        direction: text("RULE_TYPE").map(direction),
        protocol: text("PROTOCOL").map(|protocol| protocol.to_ascii_lowercase()),
        range: text("RANGE"),
        icmp_type: text("ICMP_TYPE"),
        icmpv6_type: text("ICMPV6_TYPE"),
        size: text("SIZE"),
        networks: ["IP", "IP6_GLOBAL", "IP6_ULA", "IP6"].into_iter().filter_map(text).collect(),
        is_for_networks: text("IP").is_some() || text("SIZE").is_some(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const VM: &str = "<VM><ID>5</ID><DEPLOY_ID>one-5</DEPLOY_ID><TEMPLATE><SECURITY_GROUP_RULE><PROTOCOL><![CDATA[ICMPv6]]></PROTOCOL>\
        <RULE_TYPE>inbound</RULE_TYPE><SECURITY_GROUP_ID>105</SECURITY_GROUP_ID><IP>10.0.0.1</IP><SIZE>4</SIZE></SECURITY_GROUP_RULE></TEMPLATE>\
        <HISTORY_RECORDS><HISTORY><HID>0</HID></HISTORY></HISTORY_RECORDS><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE><NIC><NIC_ID>0</NIC_ID><VN_MAD>fw</VN_MAD><SECURITY_GROUPS><![CDATA[]]></SECURITY_GROUPS><ALIAS_IDS>2</ALIAS_IDS><PHYDEV/></NIC></TEMPLATE>\
        <TEMPLATE><NIC><NIC_ID>1</NIC_ID><VN_MAD>bridge</VN_MAD><SECURITY_GROUPS/><ATTACH>YES</ATTACH></NIC></TEMPLATE>\
        <TEMPLATE><NIC_ALIAS><NIC_ID>2</NIC_ID><PARENT_ID>0</PARENT_ID><IP>10.0.0.9</IP></NIC_ALIAS></TEMPLATE>\
        <TEMPLATE><VNET_UPDATE><VLAN_ID><![CDATA[]]></VLAN_ID><MTU>1400</MTU><PHYDEV/></VNET_UPDATE></TEMPLATE></VM>";

    #[test]
    fn parts_in_several_templates_are_found() {
        let vm = Vm::parse(VM).unwrap();
        assert_eq!((vm.id, vm.vm_mad.as_str(), vm.deploy_id.as_deref()), (5, "kvm", Some("one-5")));
        assert_eq!(vm.nics_of("fw").map(|nic| nic.id).collect::<Vec<_>>(), [0]);
        assert_eq!(vm.nics[0].security_groups, Some(vec![]));
        assert_eq!(vm.nics[1].security_groups, None);
        assert_eq!(vm.attached(), Some(Attached::Nic(1)));
        assert_eq!(vm.aliases_of(&vm.nics[0]).map(|nic| nic.id).collect::<Vec<_>>(), [2]);
        let rule = &vm.rules[0];
        assert_eq!(
            (rule.group, rule.direction, rule.protocol.as_deref(), rule.is_for_networks),
            (Some(105), Some(Direction::Inbound), Some("icmpv6"), true)
        );
        let update = vm.update.unwrap();
        let old: Vec<_> = update.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(old, [("MTU", "1400"), ("VLAN_ID", "")]);
    }

    #[test]
    fn what_is_empty_in_a_rule_is_not_absent() {
        let rule = |values: &str| {
            let rule = format!("<SECURITY_GROUP_RULE>{values}</SECURITY_GROUP_RULE>");
            Vm::parse(&VM.replacen("<TEMPLATE>", &format!("<TEMPLATE>{rule}"), 1)).unwrap().rules[0].clone()
        };
        let empty = "<![CDATA[]]>";
        assert_eq!(rule("<IP/><SIZE/><RANGE/><PROTOCOL/><RULE_TYPE/>"), GroupRule::default());
        let given = rule(&format!("<IP>{empty}</IP><RANGE>{empty}</RANGE><PROTOCOL>{empty}</PROTOCOL>"));
        assert!(given.is_for_networks && given.networks == [""] && given.size.is_none());
        assert_eq!((given.range.as_deref(), given.protocol.as_deref()), (Some(""), Some("")));
        assert!(rule(&format!("<SIZE>{empty}</SIZE><IP6>::1</IP6>")).is_for_networks);
        assert_eq!(rule("<SECURITY_GROUP_ID>x</SECURITY_GROUP_ID>").group, None);
        assert_eq!(rule("<RULE_TYPE>INBound</RULE_TYPE>").direction, Some(Direction::Inbound));
        assert_eq!(rule("<RULE_TYPE>x</RULE_TYPE>").direction, Some(Direction::Outbound));
    }

    #[test]
    fn a_machine_without_hypervisor_or_id_is_refused() {
        for xml in ["", "<VM/>", "<X><ID>1</ID></X>", "<VM><ID>1</ID></VM>", "<VM><ID>x</ID></VM>"] {
            assert!(Vm::parse(xml).is_err(), "{xml}");
        }
    }
}

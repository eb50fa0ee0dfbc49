//! One interface of a virtual machine.

use crate::Failure;
use crate::xml::Element;

/// Addresses of an interface, or of the virtual router in front of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// IPv4
    pub ip: Option<String>,
    /// IPv6
    pub ip6: Option<String>,
    /// global IPv6
    pub ip6_global: Option<String>,
    /// link-local IPv6
    pub ip6_link: Option<String>,
    /// unique local IPv6
    pub ip6_ula: Option<String>,
}

impl Addresses {
    /// All IPv6 addresses.
    pub fn ipv6(&self) -> impl Iterator<Item = &str> {
        [&self.ip6, &self.ip6_global, &self.ip6_link, &self.ip6_ula].into_iter().filter_map(|it| it.as_deref())
    }

    /// The IPv6 addresses that are reached from other links.
    pub fn routed_ipv6(&self) -> impl Iterator<Item = &str> {
        [&self.ip6, &self.ip6_global, &self.ip6_ula].into_iter().filter_map(|it| it.as_deref())
    }
}

/// Limits of one direction, as they are given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bandwidth {
    /// KiB/s in the long run
    pub average: Option<String>,
    /// KiB/s for a moment
    pub peak: Option<String>,
    /// KiB at the peak
    pub burst: Option<String>,
}

/// An interface (`NIC`), an alias of one (`NIC_ALIAS`), or a PCI device that is one (`PCI`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nic {
    /// `NIC_ID`
    pub id: u32,
    /// name of the driver
    pub vn_mad: String,
    /// id of the network
    pub network_id: Option<u32>,
    /// name of the network
    pub network: Option<String>,
    /// bridge that it is plugged into
    pub bridge: Option<String>,
    /// `linux`, `openvswitch` …
    pub bridge_type: Option<String>,
    /// link of the host below the network
    pub phydev: Option<String>,
    /// VLAN id or VXLAN network identifier
    pub vlan_id: Option<String>,
    /// VXLAN network identifier where `vlan_id` is a VLAN inside of it
    pub outer_vlan_id: Option<String>,
    /// VLANs that pass with their tags
    pub vlan_tagged_id: Option<String>,
    /// VLANs of the customer inside of the network's VLAN
    pub cvlans: Option<String>,
    /// EtherType of the outer tag
    pub qinq_type: Option<String>,
    /// size of packets
    pub mtu: Option<String>,
    /// Ethernet address as it is given
    pub mac: String,
    /// name of the host's side, if libvirt does as it is told
    pub target: Option<String>,
    /// its addresses
    pub addresses: Addresses,
    /// addresses of the virtual router
    pub vrouter: Addresses,
    /// Ids of security groups in their order; none where the element is absent, which means something
    /// else than an empty one.
    pub security_groups: Option<Vec<u32>>,
    /// only packets from its own addresses leave
    pub filter_ip_spoofing: bool,
    /// only packets from its own Ethernet address leave
    pub filter_mac_spoofing: bool,
    /// the network's own settings: `CONF`, `IP_LINK_CONF`, `OVS_BRIDGE_CONF`
    pub conf: Option<String>,
    /// options of links
    pub ip_link_conf: Option<String>,
    /// columns of Open vSwitch bridges
    pub ovs_bridge_conf: Option<String>,
    /// `multicast` or `evpn`
    pub vxlan_mode: Option<String>,
    /// `dev` or another word
    pub vxlan_tep: Option<String>,
    /// base of the multicast groups
    pub vxlan_mc: Option<String>,
    /// limits into the machine
    pub inbound: Bandwidth,
    /// limits out of the machine
    pub outbound: Bandwidth,
    /// being attached or detached
    pub attach: bool,
    /// ids of its aliases
    pub alias_ids: Vec<u32>,
    /// of an alias: the interface it belongs to
    pub parent_id: Option<u32>,
    /// router of the network
    pub gateway: Option<String>,
    /// public address
    pub external_ip: Option<String>,
    /// ports of the host
    pub external_port_range: Option<String>,
    /// ports of the machine
    pub internal_port_range: Option<String>,
    /// of a PCI device: its address, without the domain
    pub short_address: Option<String>,
    /// of a PCI device: the domain of its address
    pub pci_domain: Option<String>,
    /// of a PCI device: whether packets from other addresses are dropped, where the network says so
    pub spoof_check: Option<bool>,
    /// of a PCI device: whether its guest is trusted, where the network says so
    pub trust: Option<bool>,
}

impl Nic {
    /// The size of packets in bytes, where the network says so.
    ///
    /// # Errors
    /// What it says is no number.
    pub fn mtu(&self) -> Result<Option<u32>, Failure> {
        let Some(mtu) = &self.mtu else { return Ok(None) };
        let number = mtu.trim().parse().map(Some);
        number.map_err(|_| Failure::invalid(format!("NIC {}: MTU is {mtu:?}, expected a number of bytes", self.id)))
    }

    /// Reads an element; values that are empty count as absent, but for `SECURITY_GROUPS`.
    pub(super) fn read(element: Element<'_, '_>, document: &str) -> Self {
        let text = |name: &str| element.text(name).map(str::to_owned);
        let number = |name: &str| element.text(name).and_then(|text| text.trim().parse().ok());
        let numbers = |text: &str| text.split(',').filter_map(|id| id.trim().parse().ok()).collect::<Vec<u32>>();
        // A filter that is meant must not be missing for a blank behind the word.
        let yes = |name: &str| element.text(name).is_some_and(|text| text.to_ascii_lowercase().contains("yes"));
        let switch = |name: &str| {
            element.text(name).map(|text| ["yes", "on"].iter().any(|word| text.trim().eq_ignore_ascii_case(word)))
        };
        let addresses = |prefix: &str| Addresses {
            ip: text(&format!("{prefix}IP")),
            ip6: text(&format!("{prefix}IP6")),
            ip6_global: text(&format!("{prefix}IP6_GLOBAL")),
            ip6_link: text(&format!("{prefix}IP6_LINK")),
            ip6_ula: text(&format!("{prefix}IP6_ULA")),
        };
        let bandwidth = |direction: &str| Bandwidth {
            average: text(&format!("{direction}_AVG_BW")),
            peak: text(&format!("{direction}_PEAK_BW")),
            burst: text(&format!("{direction}_PEAK_KB")),
        };
        let groups = element.first("SECURITY_GROUPS").filter(|groups| is_given(*groups, document));
        Self {
            id: number("NIC_ID").unwrap_or_default(),
            vn_mad: text("VN_MAD").unwrap_or_default(),
            network_id: number("NETWORK_ID"),
            network: text("NETWORK"),
            bridge: text("BRIDGE"),
            bridge_type: text("BRIDGE_TYPE"),
            phydev: text("PHYDEV"),
            vlan_id: text("VLAN_ID"),
            outer_vlan_id: text("OUTER_VLAN_ID"),
            vlan_tagged_id: text("VLAN_TAGGED_ID"),
            cvlans: text("CVLANS"),
            qinq_type: text("QINQ_TYPE"),
            mtu: text("MTU"),
            mac: text("MAC").unwrap_or_default(),
            target: text("TARGET"),
            addresses: addresses(""),
            vrouter: addresses("VROUTER_"),
            security_groups: groups.map(|groups| numbers(groups.value().unwrap_or_default())),
            filter_ip_spoofing: yes("FILTER_IP_SPOOFING"),
            filter_mac_spoofing: yes("FILTER_MAC_SPOOFING"),
            conf: text("CONF"),
            ip_link_conf: text("IP_LINK_CONF"),
            ovs_bridge_conf: text("OVS_BRIDGE_CONF"),
            vxlan_mode: text("VXLAN_MODE"),
            vxlan_tep: text("VXLAN_TEP"),
            vxlan_mc: text("VXLAN_MC"),
            inbound: bandwidth("INBOUND"),
            outbound: bandwidth("OUTBOUND"),
            attach: yes("ATTACH"),
            alias_ids: numbers(&text("ALIAS_IDS").unwrap_or_default()),
            parent_id: number("PARENT_ID"),
            gateway: text("GATEWAY"),
            external_ip: text("EXTERNAL_IP"),
            external_port_range: text("EXTERNAL_PORT_RANGE"),
            internal_port_range: text("INTERNAL_PORT_RANGE"),
            short_address: text("SHORT_ADDRESS"),
            pci_domain: text("DOMAIN"),
            spoof_check: switch("SPOOFCHK"),
            trust: switch("TRUST"),
        }
    }
}

/// oned writes `<X/>` for a value that is absent and `<X><![CDATA[]]></X>` for an empty one.
pub(super) fn is_given(element: Element<'_, '_>, document: &str) -> bool {
    element.value().is_some() || document.get(element.range()).is_some_and(|text| text.contains("<![CDATA["))
}

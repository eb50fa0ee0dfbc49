//! Virtual machines with interfaces, as oned describes them and as libvirt does.

use std::fmt::Write as _;

use remotes_effect::vnm::Call;

use crate::{Grounds, mac, sh};

/// Everything out, some ports in from some addresses of both families.
pub const GROUP: &str = "<SECURITY_GROUP_RULE><PROTOCOL>ALL</PROTOCOL><RULE_TYPE>OUTBOUND</RULE_TYPE>\
    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE><SECURITY_GROUP_RULE><PROTOCOL>TCP</PROTOCOL>\
    <RANGE>22,80:90</RANGE><RULE_TYPE>INBOUND</RULE_TYPE><IP>10.0.0.0</IP><SIZE>300</SIZE>\
    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE><SECURITY_GROUP_RULE><PROTOCOL>UDP</PROTOCOL>\
    <RANGE>53</RANGE><RULE_TYPE>INBOUND</RULE_TYPE><IP6>fd00::</IP6><SIZE>300</SIZE>\
    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";

/// A machine of one driver.
#[derive(Debug, Clone)]
pub struct Machine {
    pub id: u32,
    pub driver: &'static str,
    pub bridge: &'static str,
    /// rules of security groups
    pub rules: String,
    /// how many interfaces it has
    pub nics: u32,
    /// the interface that is being attached or detached
    pub attached: Option<u32>,
    /// more elements of each interface
    pub more: String,
    /// more elements of its template
    pub template: String,
}

impl Machine {
    /// One with one interface, on br0.
    pub fn new(id: u32, driver: &'static str) -> Self {
        Self {
            id,
            driver,
            bridge: "br0",
            rules: GROUP.into(),
            nics: 1,
            attached: None,
            more: String::new(),
            template: String::new(),
        }
    }

    /// With this many interfaces.
    pub fn nics(self, nics: u32) -> Self {
        Self { nics, ..self }
    }

    /// While this interface is being attached or detached.
    pub fn attaching(self, nic: u32) -> Self {
        Self { attached: Some(nic), ..self }
    }

    /// What oned says of it.
    pub fn document(&self) -> String {
        let Self { id, driver, bridge, rules, more, template, .. } = self;
        let mut nics = String::new();
        for nic in 0..self.nics {
            let mark = if self.attached == Some(nic) { "<ATTACH>YES</ATTACH>" } else { "" };
            let last = id % 250 + 1;
            write!(
                nics,
                "<NIC><NIC_ID>{nic}</NIC_ID><VN_MAD>{driver}</VN_MAD><NETWORK_ID>{nic}</NETWORK_ID><BRIDGE>{bridge}</BRIDGE>\
                <MAC>{}</MAC><IP>10.{nic}.0.{last}</IP><IP6_ULA>fd00:{nic}::{last}</IP6_ULA><SECURITY_GROUPS>0</SECURITY_GROUPS>\
                <FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>{mark}{more}</NIC>",
                mac(*id, nic)
            )
            .unwrap();
        }
        format!(
            "<VM><ID>{id}</ID><DEPLOY_ID>one-{id}</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY>\
            </HISTORY_RECORDS><TEMPLATE>{rules}{nics}{template}</TEMPLATE></VM>"
        )
    }

    /// What libvirt says of it.
    pub fn domain(&self) -> String {
        let interface = |nic| {
            format!(
                "<interface type='bridge'><mac address='{}'/><source bridge='{}'/><target dev='one-{}-{nic}'/></interface>",
                mac(self.id, nic),
                self.bridge,
                self.id
            )
        };
        let interfaces: String = (0..self.nics).map(interface).collect();
        format!("<domain type='kvm'><name>one-{}</name><devices>{interfaces}</devices></domain>", self.id)
    }

    /// Plugs its interfaces in, those that are not.
    pub fn plug(&self) {
        for nic in 0..self.nics {
            let tap = format!("one-{}-{nic}", self.id);
            sh(&format!(
                "ip link show dev {tap} >/dev/null 2>&1 || \
                 {{ ip tuntap add dev {tap} mode tap; ip link set {tap} master {} up; }}",
                self.bridge
            ));
        }
    }

    /// Unplugs one interface.
    pub fn unplug(&self, nic: u32) {
        sh(&format!("ip link del one-{}-{nic}", self.id));
    }

    /// An action on it, by oned's name.
    ///
    /// # Panics
    /// When there is none.
    pub fn call(&self, action: &str) -> Call {
        let (vm, deploy_id, host) = (self.document(), format!("one-{}", self.id), "node1".to_owned());
        match action {
            "pre" => Call::Pre { vm },
            "post" => Call::Post { vm, deploy_id, host },
            "clean" => Call::Clean { vm, host },
            "update_sg" => Call::UpdateSg { vm, deploy_id },
            "update_nic" => Call::UpdateNic { vm, deploy_id, network_id: 0 },
            "remote_post" => Call::RemotePost { vm, deploy_id, host },
            "remote_clean" => Call::RemoteClean { vm, host },
            "vnet_create" => Call::VnetCreate { network_id: 0, network: "<VNET><ID>0</ID></VNET>".into() },
            "vnet_delete" => Call::VnetDelete { network_id: 0, network: "<VNET><ID>0</ID></VNET>".into() },
            other => panic!("no action {other}"),
        }
    }

    /// Does it, successfully.
    ///
    /// # Panics
    /// When it fails.
    pub fn act(&self, grounds: &mut Grounds, action: &str) {
        let outcome = grounds.call(self.driver, self.call(action));
        assert!(matches!(outcome.result, Some(Ok(_))), "{} {action}: {outcome:?}", self.driver);
    }
}

/// The rules by which packets of a bridge get to the chains of the interface on this tap, as both families list them.
pub fn jumps(tap: &str, base: &str) -> [String; 3] {
    [
        format!("-A opennebula -m physdev --physdev-out {tap} --physdev-is-bridged -j {base}-i\n"),
        format!("-A opennebula -m physdev --physdev-in {tap} --physdev-is-bridged -j {base}-o\n"),
        format!("-A INPUT -m physdev --physdev-in {tap} -j {base}-o\n"),
    ]
}

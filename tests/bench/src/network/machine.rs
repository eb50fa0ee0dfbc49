//! Virtual machines as oned and libvirt describe them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_test_support::mac;

/// A machine whose interfaces are all of one driver.
pub struct Vm {
    id: u32,
    nics: u32,
    driver: &'static str,
}

impl Vm {
    /// The machine `one-ID` with so many interfaces.
    pub fn new(id: u32, nics: u32, driver: &'static str) -> Self {
        Self { id, nics, driver }
    }

    /// Names of its interfaces on the host.
    pub fn taps(&self) -> impl Iterator<Item = String> {
        (0..self.nics).map(|nic| format!("one-{}-{nic}", self.id))
    }

    /// For libvirt's test driver.
    pub fn domain(&self) -> String {
        let interface = |nic| {
            let (mac, tap) = (mac(self.id, nic), format!("one-{}-{nic}", self.id));
            format!(
                "<interface type='bridge'><mac address='{mac}'/><source bridge='br0'/><target dev='{tap}'/></interface>"
            )
        };
        let interfaces: String = (0..self.nics).map(interface).collect();
        format!(
            "<domain type='test'><name>one-{}</name><memory>65536</memory><os><type>hvm</type></os>\
            <devices>{interfaces}</devices></domain>",
            self.id
        )
    }

    /// What an action reads: the machine with so many security groups of so many rules.
    pub fn message(&self, groups: u32, rules: u32) -> String {
        let rule = |group: u32, rule: u32| {
            let (kind, ports) =
                if rule.is_multiple_of(4) { ("OUTBOUND", 9000 + rule) } else { ("INBOUND", 1000 * group + rule) };
            format!(
                "<SECURITY_GROUP_RULE><PROTOCOL>TCP</PROTOCOL><RULE_TYPE>{kind}</RULE_TYPE><RANGE>{ports}</RANGE>\
                <SECURITY_GROUP_ID>{group}</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>"
            )
        };
        let rules: String = (1..=groups).flat_map(|group| (0..rules).map(move |number| rule(group, number))).collect();
        let ids: Vec<String> = (1..=groups).map(|id| id.to_string()).collect();
        let bridge = if self.nics > 1 { "br0".to_owned() } else { format!("br{}", self.id) };
        let below = match self.driver {
            "vxlan" => format!("<PHYDEV>eth1</PHYDEV><VLAN_ID>{}</VLAN_ID>", self.id),
            _ => String::new(),
        };
        let nic = |nic| {
            format!(
                "<NIC><NIC_ID>{nic}</NIC_ID><VN_MAD>{}</VN_MAD><BRIDGE>{bridge}</BRIDGE>{below}<MAC>{}</MAC>\
                <IP>10.0.{}.{}</IP><SECURITY_GROUPS><![CDATA[{}]]></SECURITY_GROUPS></NIC>",
                self.driver,
                mac(self.id, nic),
                self.id % 256,
                nic + 1,
                ids.join(",")
            )
        };
        let nics: String = (0..self.nics).map(nic).collect();
        STANDARD.encode(format!(
            "<VM><ID>{id}</ID><DEPLOY_ID>one-{id}</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY>\
            </HISTORY_RECORDS><TEMPLATE>{rules}{nics}</TEMPLATE></VM>",
            id = self.id
        )) + "\n"
    }
}

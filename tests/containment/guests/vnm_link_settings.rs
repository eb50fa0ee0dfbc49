//! Options of links that say where they belong, or are more than one.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::links::{self, Bridge, Endpoint, Setting, Vlan, Vxlan};

containment_guests::pre!(attack);

const OPTIONS: [(&str, Option<&str>); 12] = [
    ("master", Some("docker0")),
    ("dev", Some("docker0")),
    ("netns", Some("1")),
    ("link", Some("docker0")),
    ("remote", Some("198.51.100.1")),
    ("external", None),
    ("ageing_time", Some("1 master docker0")),
    ("ageing_time", Some("1\nlink delete docker0")),
    ("protocol", Some("-x")),
    ("ageing_time master docker0", None),
    ("nolearning", Some("external")),
    ("", Some("")),
];

fn attack(_: &str) -> Result<(), Failure> {
    for (name, value) in OPTIONS {
        let settings = vec![Setting { name: name.into(), value: value.map(Into::into) }];
        tell(name, links::make_bridge(&Bridge { name: "br7".into(), settings: settings.clone() }));
        let vlan = Vlan { name: "eth1.7".into(), lower: "eth1".into(), id: 7, mtu: None, settings: settings.clone() };
        tell(name, links::make_vlan(&vlan));
        let endpoint = Endpoint::Device("eth1".into());
        let vxlan = Vxlan { name: "eth1.7".into(), id: 7, endpoint, group: None, ttl: None, mtu: None, settings };
        tell(name, links::make_vxlan(&vxlan));
    }
    Ok(())
}

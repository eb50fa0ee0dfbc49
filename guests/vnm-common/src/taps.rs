//! The host's side of an interface, as the hypervisor named it.

use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, here, libvirt, warning};

/// Names of taps by Ethernet address; asked for once an action.
pub enum Taps {
    /// of a libvirt domain: pairs of address and name
    Domain(Vec<(String, String)>),
    /// of a container: the name it is known by
    Container(String),
}

impl Taps {
    /// Asks the hypervisor. A machine that is gone, or not known yet, has no taps.
    pub fn find(vm: &Vm, deploy_id: &str) -> Self {
        Self::ask(vm, deploy_id).unwrap_or_else(|failure| {
            let id = Self::domain(vm, deploy_id).unwrap_or_default();
            warning!("the interfaces of {id} are not known: {}", failure.message);
            Self::Domain(Vec::new())
        })
    }

    /// The same where a hypervisor that does not answer is a failure.
    pub fn ask(vm: &Vm, deploy_id: &str) -> Result<Self, Failure> {
        if vm.vm_mad == "lxc" {
            return Ok(Self::Container(given(deploy_id).unwrap_or_default().to_owned()));
        }
        match Self::domain(vm, deploy_id) {
            Some(id) => libvirt::xml(&here(), id).and_then(|xml| names(&xml)).map(Self::Domain),
            None => Ok(Self::Domain(Vec::new())),
        }
    }

    /// How libvirt knows the machine; none where it does not yet.
    pub fn domain<'a>(vm: &'a Vm, deploy_id: &'a str) -> Option<&'a str> {
        given(deploy_id).or(vm.deploy_id.as_deref())
    }

    /// The tap of an interface.
    pub fn of(&self, nic: &Nic) -> Option<String> {
        match self {
            // The case of letters matters to libvirt as to the stock drivers.
            Self::Domain(names) => names.iter().find(|(mac, _)| *mac == nic.mac).map(|(_, name)| name.clone()),
            Self::Container(id) if id.is_empty() => None,
            Self::Container(id) => Some(format!("{id}-{}", nic.id)),
        }
    }

    /// The tap of an interface that must have one.
    pub fn require(&self, nic: &Nic) -> Result<String, Failure> {
        self.of(nic).ok_or_else(|| {
            Failure::not_found(format!(
                "NIC {}: the hypervisor has no interface with the address {}; is the machine running on this host?",
                nic.id, nic.mac
            ))
        })
    }
}

/// oned says `-` where it knows none.
fn given(deploy_id: &str) -> Option<&str> {
    Some(deploy_id).filter(|id| !matches!(*id, "" | "-"))
}

fn names(xml: &str) -> Result<Vec<(String, String)>, Failure> {
    let document = Document::parse(xml)?;
    let interfaces = document.elements("devices/interface").into_iter();
    let bridged = interfaces.filter(|it| matches!(it.attribute("type"), Some("bridge" | "vhostuser")));
    Ok(bridged
        .filter_map(|interface| {
            let mac = interface.first("mac")?.attribute("address")?;
            let target = interface.first("target").and_then(|target| target.attribute("dev"));
            // DPDK: the interface is a socket, and its file is named after it.
            let socket = || interface.first("source")?.attribute("path").map(remotes_sdk::name);
            Some((mac.to_owned(), target.or_else(socket)?.to_owned()))
        })
        .collect())
}

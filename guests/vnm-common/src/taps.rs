//! The host's side of an interface, as the hypervisor named it.

use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, here, libvirt, warning};

use crate::names;

/// Names of a machine's taps; asked for once an action.
pub struct Taps<'a> {
    vm: &'a Vm,
    known: Known,
}

/// What the hypervisor says of them.
enum Known {
    /// of a libvirt domain: pairs of Ethernet address and name
    Domain(Vec<(String, String)>),
    /// of a container: the name it is known by
    Container(String),
}

impl<'a> Taps<'a> {
    /// Asks the hypervisor. A machine that is gone, or not known yet, has no taps.
    pub fn find(vm: &'a Vm, deploy_id: &str) -> Self {
        Self::ask(vm, deploy_id).unwrap_or_else(|failure| {
            let id = Self::domain(vm, deploy_id).unwrap_or_default();
            warning!("the interfaces of {id} are not known: {}", failure.message);
            Self { vm, known: Known::Domain(Vec::new()) }
        })
    }

    /// The same where a hypervisor that does not answer is a failure.
    pub fn ask(vm: &'a Vm, deploy_id: &str) -> Result<Self, Failure> {
        let known = match Self::domain(vm, deploy_id) {
            _ if vm.vm_mad == "lxc" => Known::Container(given(deploy_id).unwrap_or_default().to_owned()),
            Some(id) => Known::Domain(libvirt::xml(&here(), id).and_then(|xml| listed(&xml))?),
            None => Known::Domain(Vec::new()),
        };
        Ok(Self { vm, known })
    }

    /// How libvirt knows the machine; none where it does not yet.
    pub fn domain<'b>(vm: &'b Vm, deploy_id: &'b str) -> Option<&'b str> {
        given(deploy_id).or(vm.deploy_id.as_deref())
    }

    /// The tap of an interface.
    pub fn of(&self, nic: &Nic) -> Option<String> {
        match &self.known {
            Known::Domain(_) => match self.of_address(nic)[..] {
                [] => None,
                [name] => Some(name.to_owned()),
                // Two of its interfaces have one address: their names tell them apart.
                ref several => {
                    let own = names::own(self.vm, nic);
                    let called = |name: &str| several.iter().find(|other| **other == name);
                    nic.target.as_deref().and_then(called).or_else(|| called(&own)).map(|name| (*name).to_owned())
                }
            },
            Known::Container(id) if id.is_empty() => None,
            Known::Container(id) => Some(format!("{id}-{}", nic.id)),
        }
    }

    /// The taps of an interface's address.
    fn of_address(&self, nic: &Nic) -> Vec<&str> {
        match &self.known {
            // The case of letters matters to libvirt as to the stock drivers.
            Known::Domain(names) => {
                names.iter().filter(|(mac, _)| *mac == nic.mac).map(|(_, name)| name.as_str()).collect()
            }
            Known::Container(_) => Vec::new(),
        }
    }

    /// The names that the tap of an interface may have where it is not known: those of its address, or else the one
    /// that it would be given. No template makes another machine's name one of its own.
    pub fn possible(&self, nic: &Nic) -> Vec<String> {
        let of_address = self.of_address(nic);
        if !of_address.is_empty() {
            return of_address.into_iter().map(str::to_owned).collect();
        }
        let target = nic.target.clone().filter(|target| !names::is_of_another(target, self.vm, nic));
        vec![target.unwrap_or_else(|| names::own(self.vm, nic))]
    }

    /// The tap of an interface that must have one.
    pub fn require(&self, nic: &Nic) -> Result<String, Failure> {
        self.of(nic).ok_or_else(|| match &self.of_address(nic)[..] {
            [] => Failure::not_found(format!(
                "NIC {}: the hypervisor has no interface with the address {}; is the machine running on this host?",
                nic.id, nic.mac
            )),
            several => Failure::invalid(format!(
                "NIC {}: the hypervisor has several interfaces with the address {} ({}), none of which is called {}; \
                 give each interface an address of its own",
                nic.id,
                nic.mac,
                several.join(", "),
                names::own(self.vm, nic)
            )),
        })
    }
}

/// oned says `-` where it knows none.
fn given(deploy_id: &str) -> Option<&str> {
    Some(deploy_id).filter(|id| !matches!(*id, "" | "-"))
}

fn listed(xml: &str) -> Result<Vec<(String, String)>, Failure> {
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

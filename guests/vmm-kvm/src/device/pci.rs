//! A device of the host that is handed to the guest.

use remotes_sdk::xml::{Document, Element, Tag};
use remotes_sdk::{Failure, FailureKind, at, filesystem};

/// Which of the host's devices.
#[derive(Debug, PartialEq, Eq)]
pub enum Device {
    /// a mediated one, a vGPU, by its UUID
    Mediated(String),
    /// domain, bus, slot and function, in hexadecimal
    Pci([String; 4]),
}

const SOURCE: [&str; 4] = ["DOMAIN", "BUS", "SLOT", "FUNCTION"];
const GUEST: [&str; 4] = ["VM_DOMAIN", "VM_BUS", "VM_SLOT", "VM_FUNCTION"];
const PARTS: [&str; 4] = ["domain", "bus", "slot", "function"];

impl Device {
    /// What oned says of it.
    pub fn of(pci: Element<'_, '_>) -> Result<Self, Failure> {
        if let Some(uuid) = pci.text("UUID") {
            return Ok(Self::Mediated(uuid.to_owned()));
        }
        let mut parts = SOURCE.map(|_| String::new());
        for (part, key) in parts.iter_mut().zip(SOURCE) {
            let text = pci.text(key).unwrap_or_default();
            if text.is_empty() || text.len() > 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Failure::invalid(format!("PCI/{key} is {text:?}, expected hexadecimal digits")));
            }
            text.clone_into(part);
        }
        Ok(Self::Pci(parts))
    }

    /// Whether it is a virtual function of a network card, which libvirt handles as an interface.
    pub fn is_virtual_function(&self) -> Result<bool, Failure> {
        let Self::Pci([domain, bus, slot, function]) = self else { return Ok(false) };
        // The link to the physical function that the kernel gives to every virtual one.
        let link = format!("/sys/bus/pci/devices/{domain}:{bus}:{slot}.{function}/physfn");
        match filesystem::stat(&at(link)) {
            Ok(_) => Ok(true),
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// `<hostdev>`, or `<interface>` for a virtual function.
    pub fn tag(&self, virtual_function: bool, guest: Option<Tag>) -> Tag {
        let hostdev = |kind| Tag::new("hostdev").with("mode", "subsystem").with("type", kind);
        match self {
            Self::Mediated(uuid) => {
                let address = Tag::new("address").with("uuid", uuid);
                hostdev("mdev").with("model", "vfio-pci").child(Tag::new("source").child(address))
            }
            Self::Pci(parts) => {
                let address = match virtual_function {
                    true => Tag::new("address").with("type", "pci"),
                    false => Tag::new("address"),
                };
                let numbers = PARTS.into_iter().zip(parts);
                let address = numbers.fold(address, |address, (name, value)| address.with(name, format!("0x{value}")));
                let device = match virtual_function {
                    true => Tag::new("interface").with("type", "hostdev"),
                    false => hostdev("pci"),
                };
                device.with("managed", "yes").child(Tag::new("source").child(address)).children(guest)
            }
        }
    }

    /// Whether the domain of this description has it.
    pub fn is_in(&self, xml: &str) -> Result<bool, Failure> {
        Ok(self.find_in(xml)?.is_some())
    }

    /// Its part of a domain's description: a virtual function is there as an interface.
    pub fn find_in(&self, xml: &str) -> Result<Option<String>, Failure> {
        let document = Document::parse(xml)?;
        let mut devices = ["hostdev", "interface"].into_iter().flat_map(|kind| document.descendants(kind));
        let found = devices.find(|device| {
            device.first("source/address").is_some_and(|address| match self {
                Self::Mediated(uuid) => address.attribute("uuid").is_some_and(|it| it.eq_ignore_ascii_case(uuid)),
                Self::Pci(parts) => is_at(address, &parts.each_ref().map(String::as_str)),
            })
        });
        Ok(found.map(|device| xml[device.range()].to_owned()))
    }
}

/// The guest's address that oned wants, where the machine has a bus 1 to plug into and the address is
/// free.
pub fn guest_address(pci: Element<'_, '_>, xml: &str) -> Result<Option<Tag>, Failure> {
    let wanted = GUEST.map(|key| pci.text(key));
    let [Some(domain), Some(bus), Some(slot), Some(function)] = wanted else { return Ok(None) };
    let wanted = [domain, bus, slot, function];
    let document = Document::parse(xml)?;
    let has_bus = document.descendants("alias").any(|alias| alias.attribute("name") == Some("pci.1"));
    let taken = document.descendants("address").any(|a| a.attribute("type") == Some("pci") && is_at(a, &wanted));
    let address = Tag::new("address").with("type", "pci");
    let address = PARTS.into_iter().zip(wanted).fold(address, |address, (name, value)| address.with(name, value));
    Ok(Some(address).filter(|_| has_bus && !taken))
}

/// Whether an `<address>` says these four numbers, whatever way they are written.
fn is_at(address: Element<'_, '_>, wanted: &[&str; 4]) -> bool {
    PARTS.iter().zip(wanted).all(|(name, wanted)| {
        let there = address.attribute(name).and_then(number);
        there.is_some() && there == number(wanted)
    })
}

fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

//! Memory, virtual CPUs, sizes of disks.

use remotes_effect::libvirt::Scope;
use remotes_effect::types::Failure;

use super::Session;
use super::definition::kib;
use super::error::{invalid_arg, operation_unsupported};
use super::parts::disks;
use crate::files::{Entry, Image, Last};
use crate::xml::edit::{after, replace, set_attribute};
use crate::xml::{child, parse, text};

impl Session<'_> {
    pub fn set_vcpus(&mut self, reference: &str, count: u32, scope: Scope, _hotpluggable: bool) -> Result<(), Failure> {
        if count == 0 {
            return Err(invalid_arg("nvcpus in virDomainSetVcpusFlags must not be zero"));
        }
        let active = self.scoped(reference, scope)?.active();
        self.edit(reference, scope, |xml| {
            let document = parse("domain_definition", xml)?;
            let vcpu = child(document.root_element(), "vcpu");
            let most = vcpu.map(text).and_then(|text| text.parse().ok()).unwrap_or(1);
            if count > most {
                let which = if active && scope != Scope::Config { "live" } else { "persistent" };
                return Err(invalid_arg(format!(
                    "requested vcpus is greater than max allowable vcpus for the {which} domain: {count} > {most}"
                )));
            }
            Ok(match vcpu {
                Some(vcpu) => set_attribute(vcpu, "current", &count.to_string()).apply(xml),
                None => xml.to_owned(),
            })
        })
    }

    pub fn set_memory(&mut self, reference: &str, amount: u64, scope: Scope) -> Result<(), Failure> {
        if amount == 0 {
            return Err(invalid_arg("memory in virDomainSetMemoryFlags must not be zero"));
        }
        self.edit(reference, scope, |xml| {
            let document = parse("domain_definition", xml)?;
            let root = document.root_element();
            let memory = child(root, "memory");
            if memory.map(kib).transpose()?.is_some_and(|most| amount > most) {
                return Err(invalid_arg("cannot set memory higher than max memory"));
            }
            let element = format!("<currentMemory unit='KiB'>{amount}</currentMemory>");
            Ok(match (child(root, "currentMemory"), memory) {
                (Some(current), _) => replace(current, &element).apply(xml),
                (None, Some(memory)) => after(memory, &element).apply(xml),
                (None, None) => xml.to_owned(),
            })
        })
    }

    pub fn resize_block(&mut self, reference: &str, device: &str, bytes: u64) -> Result<(), Failure> {
        let domain = self.active(reference)?;
        let document = parse("domain_definition", domain.xml())?;
        let disk = disks(document.root_element())
            .into_iter()
            .find(|disk| disk.target == device || disk.source.as_deref() == Some(device))
            .ok_or_else(|| invalid_arg(format!("disk '{device}' was not found in the domain config")))?;
        let Some(source) = disk.source.filter(|_| !disk.read_only) else {
            return Err(operation_unsupported(format!("can't resize empty or readonly disk '{}'", disk.target)));
        };
        // Tests without disks have no file to resize.
        let place = self.files.place(None, &source, Last::Follow);
        if let Ok(place) = place
            && let Some(Entry::File(file)) = self.files.at_mut(&place.names)
        {
            let header = file.header();
            file.set_header(Image { virtual_size: bytes, ..header });
        }
        Ok(())
    }
}

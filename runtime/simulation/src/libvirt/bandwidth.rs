//! Limits of an interface, kept in the description.

use remotes_effect::libvirt::{Bandwidth, Scope};
use remotes_effect::types::Failure;
use roxmltree::Node;

use super::Session;
use super::error::invalid_arg;
use super::parts::devices;
use crate::xml::edit::{append, remove, replace, source};
use crate::xml::{child, parse};

impl Session<'_> {
    pub fn set_bandwidth(
        &mut self,
        reference: &str,
        interface: &str,
        inbound: Option<Bandwidth>,
        outbound: Option<Bandwidth>,
    ) -> Result<(), Failure> {
        for (direction, wanted) in [("inbound", inbound), ("outbound", outbound)] {
            if wanted.is_some_and(|limit| limit.average == 0 && (limit.peak > 0 || limit.burst > 0)) {
                return Err(invalid_arg(format!("{direction} average is mandatory")));
            }
        }
        self.edit(reference, Scope::Live, |xml| limited(xml, interface, [inbound, outbound]))
    }
}

fn limited(xml: &str, interface: &str, wanted: [Option<Bandwidth>; 2]) -> Result<String, Failure> {
    let document = parse("domain_definition", xml)?;
    let is_it = |device: &Node<'_, '_>| {
        device.has_tag_name("interface")
            && child(*device, "target").and_then(|it| it.attribute("dev")) == Some(interface)
    };
    let device = devices(document.root_element())
        .find(is_it)
        .ok_or_else(|| invalid_arg(format!("no interface matching path '{interface}' found")))?;
    let old = child(device, "bandwidth");
    let limits: String = ["inbound", "outbound"]
        .into_iter()
        .zip(wanted)
        .filter_map(|(name, wanted)| match wanted {
            None => old.and_then(|old| child(old, name)).map(|it| source(it).to_owned()),
            Some(limit) => element(name, limit),
        })
        .collect();
    let new = format!("<bandwidth>{limits}</bandwidth>");
    Ok(match old {
        Some(old) if limits.is_empty() => remove(old).apply(xml),
        Some(old) => replace(old, &new).apply(xml),
        None if limits.is_empty() => xml.to_owned(),
        None => append(device, &new).apply(xml),
    })
}

fn element(name: &str, limit: Bandwidth) -> Option<String> {
    if limit.average == 0 {
        return None;
    }
    let mut text = format!("<{name} average='{}'", limit.average);
    for (attribute, value) in [("peak", limit.peak), ("burst", limit.burst)] {
        if value > 0 {
            text.push_str(&format!(" {attribute}='{value}'"));
        }
    }
    Some(format!("{text}/>"))
}

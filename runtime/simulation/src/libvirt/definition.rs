//! Domain XML as libvirt reads it.

use remotes_effect::types::Failure;
use roxmltree::{Document, Node};

use super::alias;
use super::error::{config_unsupported, internal, xml_error};
use crate::xml::edit;
use crate::xml::{child, child_text, children, parse};

/// virDomainVirtType
const TYPES: [&str; 16] = [
    "qemu",
    "kqemu",
    "kvm",
    "xen",
    "lxc",
    "uml",
    "openvz",
    "test",
    "vmware",
    "hyperv",
    "vbox",
    "phyp",
    "parallels",
    "bhyve",
    "vz",
    "hvf",
];

/// The description of a domain, without an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub name: String,
    pub uuid: Option<String>,
    /// Most memory, in KiB.
    pub memory: Option<u64>,
    pub xml: String,
}

impl Definition {
    /// Reads a description that a domain is to be made of, and checks what libvirt checks first.
    pub fn read(xml: &str) -> Result<Self, Failure> {
        let document = parse("domain_definition", xml)?;
        let root = domain(&document)?;
        match root.attribute("type") {
            None => return Err(internal("missing domain type attribute")),
            Some(kind) if !TYPES.contains(&kind) => {
                return Err(config_unsupported(format!("invalid domain type {kind}")));
            }
            Some(_) => {}
        }
        let definition = Self::of(root)?;
        if child(root, "os").and_then(|os| child_text(os, "type")).is_none() {
            return Err(xml_error("an os <type> must be specified"));
        }
        if definition.memory.is_none() {
            return Err(xml_error("Memory size must be specified via <memory> or in the <numa> configuration"));
        }
        Ok(definition)
    }

    /// Reads a description of which only the name must be there.
    pub fn lenient(xml: &str) -> Result<Self, Failure> {
        let document = parse("domain_definition", xml)?;
        Self::of(domain(&document)?)
    }

    fn of(root: Node<'_, '_>) -> Result<Self, Failure> {
        let name: String = child(root, "name").map(raw_text).unwrap_or_default();
        if name.is_empty() {
            return Err(Failure::invalid("missing name information"));
        }
        if let Some(c) = name.chars().find(|c| matches!(c, '/' | '\n')) {
            return Err(xml_error(format!("name {name} cannot contain '{}'", c.escape_default())));
        }
        let uuid = match child_text(root, "uuid") {
            None => None,
            Some(text) => Some(uuid(&text).ok_or_else(|| internal("malformed uuid element"))?),
        };
        let memory = child(root, "memory").map(kib).transpose()?.or(cells(root)?);
        // The element alone: what stands before it cannot stand in a snapshot's description.
        let (text, start) = (edit::source(root), root.range().start);
        let xml = match root.attribute_node("id") {
            // With the blank before it.
            Some(id) => format!("{}{}", text[..id.range().start - start].trim_end(), &text[id.range().end - start..]),
            None => text.to_owned(),
        };
        Ok(Self { name, uuid, memory, xml: alias::dropped(&xml) })
    }

    /// The description with this UUID, where it had none.
    pub fn identified(self, uuid: &str) -> Self {
        if self.uuid.is_some() {
            return self;
        }
        let edit = Document::parse(&self.xml).ok().and_then(|document| {
            let name = child(document.root_element(), "name")?;
            Some(edit::after(name, &format!("<uuid>{uuid}</uuid>")))
        });
        let xml = edit.map(|edit| edit.apply(&self.xml)).unwrap_or(self.xml);
        Self { uuid: Some(uuid.to_owned()), xml, ..self }
    }
}

/// A description with an id: what an active domain's looks like. The description has none, and nothing
/// before its element.
pub(super) fn with_id(xml: &str, id: u32) -> String {
    let name = xml.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(xml.len());
    format!("{} id='{id}'{}", &xml[..name], &xml[name..])
}

fn domain<'a, 'i>(document: &'a Document<'i>) -> Result<Node<'a, 'i>, Failure> {
    let root = document.root_element();
    match root.tag_name().name() {
        "domain" => Ok(root),
        other => Err(xml_error(format!("expecting root element of 'domain', not '{other}'"))),
    }
}

/// The name's text as libvirt takes it, blanks included.
fn raw_text(node: Node<'_, '_>) -> String {
    node.descendants().filter(|child| child.is_text()).filter_map(|child| child.text()).collect()
}

/// A UUID in any form that libvirt accepts, as libvirt writes it.
pub(super) fn uuid(text: &str) -> Option<String> {
    let hex: String = text.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// An amount of memory in KiB.
pub(super) fn kib(node: Node<'_, '_>) -> Result<u64, Failure> {
    let text = crate::xml::text(node);
    let unit = node.attribute("unit").unwrap_or("KiB");
    amount(&text, unit)
}

fn amount(text: &str, unit: &str) -> Result<u64, Failure> {
    let factor: u64 = match unit {
        "b" | "bytes" => 1,
        "KB" => 1000,
        "k" | "K" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "T" | "TiB" => 1 << 40,
        _ => return Err(config_unsupported(format!("unknown suffix '{unit}'"))),
    };
    let count: u64 = text.parse().map_err(|_| xml_error(format!("invalid memory amount '{text}'")))?;
    let bytes =
        count.checked_mul(factor).ok_or_else(|| xml_error(format!("memory amount {text} {unit} is too large")))?;
    Ok(bytes.div_ceil(1024))
}

/// Memory of the NUMA cells, where there are any.
fn cells(root: Node<'_, '_>) -> Result<Option<u64>, Failure> {
    let Some(numa) = child(root, "cpu").and_then(|cpu| child(cpu, "numa")) else { return Ok(None) };
    let mut total = None;
    for cell in children(numa, "cell") {
        let memory = amount(cell.attribute("memory").unwrap_or("0"), cell.attribute("unit").unwrap_or("KiB"))?;
        total = Some(total.unwrap_or(0u64).saturating_add(memory));
    }
    Ok(total)
}

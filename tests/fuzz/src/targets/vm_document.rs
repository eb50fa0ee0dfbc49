//! The document of a virtual machine, as drivers of networks get it, and the reader below it.

use remotes_sdk::network::{self, Attached, Vm};
use remotes_sdk::xml::{Document, Element, escape};

/// Words of it.
pub const WORDS: &[&str] = &[
    "<VM>",
    "</VM>",
    "<ID>",
    "</ID>",
    "<TEMPLATE>",
    "</TEMPLATE>",
    "<NIC>",
    "</NIC>",
    "<NIC_ALIAS>",
    "</NIC_ALIAS>",
    "<PCI>",
    "</PCI>",
    "<NIC_ID>",
    "<SECURITY_GROUPS>",
    "<SECURITY_GROUPS/>",
    "<SECURITY_GROUP_RULE>",
    "<RULE_TYPE>",
    "<RANGE>",
    "<ALIAS_IDS>",
    "<PARENT_ID>",
    "<ATTACH>YES</ATTACH>",
    "<VNET_UPDATE>",
    "<VLAN_TAGGED_ID>",
    "<VM_MAD>",
    "<HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE VM [<!ENTITY e 'x'>]>",
    "&e;",
    "&#10;",
    "&#0;",
    "&amp;",
    "&lt;",
    "<?xml version='1.0'?>",
    "xmlns:x='y'",
    "x:",
    "0",
    "-1",
    "4294967296",
    "0,0",
    "1-4094",
    "4094-1",
    "65535-0",
    "YES",
    " ",
    "\n",
    "\u{202e}",
];

/// What is read of any text is in the text, and nothing of it is lost when it is written again.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(document) = Document::parse(text) {
        element(document.root(), text);
        if let Ok(vm) = Vm::parse(text) {
            machine(&vm, &document);
        }
    } else {
        assert!(Vm::parse(text).is_err());
    }
}

fn element(element: Element<'_, '_>, text: &str) {
    let mut pending = vec![element];
    while let Some(element) = pending.pop() {
        let own = &text[element.range()];
        assert!(own.starts_with('<') && own.ends_with('>'), "{own:?}");
        if let Some(value) = element.value() {
            written(value);
        }
        for name in ["ID", "type", "file", "name"] {
            let (value, range) = (element.attribute(name), element.attribute_range(name));
            assert_eq!(value.is_some(), range.is_some());
            if let (Some(value), Some(range)) = (value, range) {
                assert!(!text[range].contains('<'));
                written(value);
            }
        }
        let children: Vec<_> = element.children().collect();
        for child in &children {
            assert!(element.range().start < child.range().start && child.range().end < element.range().end);
        }
        if let Some(child) = children.first() {
            assert_eq!(element.text(child.name()), child.value());
        }
        pending.extend(children);
    }
}

/// Text that was read comes back from what is built of it, as an attribute and as an element.
fn written(value: &str) {
    let built = format!("<a b='{0}' c=\"{0}\">{0}</a>", escape(value));
    let document = Document::parse(&built).unwrap_or_else(|failure| panic!("{built:?}: {failure:?}"));
    let root = document.root();
    assert_eq!((root.attribute("b"), root.attribute("c")), (Some(value), Some(value)));
    assert_eq!(root.value().unwrap_or_default(), value);
    assert_eq!(root.children().count(), 0);
}

/// The records are those of the document: none more, none less.
fn machine(vm: &Vm, document: &Document<'_>) {
    let count = |kind: &str| {
        let templates = document.root().children().filter(|child| child.name() == "TEMPLATE");
        templates.flat_map(Element::children).filter(|child| child.name() == kind).count()
    };
    assert_eq!(document.root().name(), "VM");
    let counts = (count("NIC"), count("NIC_ALIAS"), count("PCI"), count("SECURITY_GROUP_RULE"));
    assert_eq!((vm.nics.len(), vm.aliases.len(), vm.pcis.len(), vm.rules.len()), counts);
    assert!(!vm.vm_mad.is_empty());
    let known = |nics: &[network::Nic], id: u32| nics.iter().any(|nic| nic.id == id && nic.attach);
    match vm.attached() {
        Some(Attached::Nic(id)) => assert!(known(&vm.nics, id)),
        Some(Attached::Alias(id)) => assert!(known(&vm.aliases, id) && !vm.nics.iter().any(|nic| nic.attach)),
        Some(Attached::Pci(id)) => assert!(known(&vm.pcis, id)),
        None => assert!(!vm.nics.iter().chain(&vm.aliases).chain(&vm.pcis).any(|nic| nic.attach)),
    }
    for nic in &vm.nics {
        let is_its =
            |alias: &network::Nic| alias.parent_id.map_or(nic.alias_ids.contains(&alias.id), |id| id == nic.id);
        assert!(vm.aliases_of(nic).all(is_its));
        assert!(vm.nics_of(&nic.vn_mad).any(|other| other == nic));
        // Each part may stand for 65536 numbers.
        let tagged = nic.vlan_tagged_id.as_deref().filter(|text| text.len() < 100);
        if let Some((text, vlans)) = tagged.and_then(|text| Some((text, network::vlans(text)?))) {
            assert!(vlans.len() >= text.split(',').count());
            assert!(
                text.bytes().all(|byte| byte.is_ascii_digit() || byte > 127 || b"-,+ \t\n\r\x0b\x0c".contains(&byte))
            );
        }
    }
}

//! The security groups that machines were deployed with, from the descriptions that OpenNebula leaves beside their
//! disks (`vm.xml` of DEPLOY, specification vmm-kvm 1.3). Chains do not say from which group a rule comes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};
use remotes_effect::types::{Failure, FailureKind, Node, Place};
use remotes_effect::{Answer, Effect, filesystem};
use serde::Serialize;

use super::asked::{Asked, known};
use super::flows::Key;

/// What is named where it could not be seen.
const WHAT: &str = "security groups that machines were deployed with";

/// A security group by its number and, where a rule says it, its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    pub id: u32,
    pub name: Option<String>,
}

/// What an interface was deployed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    mac: String,
    pub groups: Vec<Group>,
}

impl Deployed {
    /// Whether the host's side of an interface with this address is that interface's: the hypervisor changes the first
    /// byte of it. A number may have been given to another interface since.
    pub fn is_of(&self, mac: &str) -> bool {
        let tail = |mac: &str| mac.split_once(':').map(|(_, tail)| tail.to_ascii_lowercase());
        tail(&self.mac).is_some_and(|own| Some(own) == tail(mac))
    }
}

/// The interfaces of these machines. What cannot be read is named in `unseen`; machines without a description are not.
pub fn look(
    asked: &mut Asked,
    vms: &BTreeSet<u32>,
    datastores: &Path,
    unseen: &mut Vec<String>,
) -> Result<BTreeMap<Key, Deployed>> {
    let Some(datastores) = datastores.to_str() else { bail!("{}: no UTF-8", datastores.display()) };
    let stores = entries(asked, datastores, unseen)?;
    let mut files = BTreeMap::<u32, Vec<String>>::new();
    for store in stores.iter().filter(|store| store.bytes().all(|byte| byte.is_ascii_digit())) {
        let store = format!("{datastores}/{store}");
        let of = |vm: &u32| (*vm, format!("{store}/{vm}/vm.xml"));
        let folders: BTreeSet<u32> = entries(asked, &store, unseen)?.iter().filter_map(|it| it.parse().ok()).collect();
        folders.intersection(vms).map(of).for_each(|(vm, file)| files.entry(vm).or_default().push(file));
    }
    let mut deployed = BTreeMap::new();
    let mut failures = Vec::new();
    for (vm, files) in files {
        match newest(asked, files)? {
            Ok(Some(text)) => match read(vm, &text) {
                Ok(nics) => deployed.extend(nics),
                Err(error) => failures.push(format!("VM {vm}: vm.xml: {error}")),
            },
            Ok(None) => {}
            Err(failure) => failures.push(format!("VM {vm}: {}", failure.message)),
        }
    }
    if let Some(first) = failures.first() {
        let more = match failures.len() {
            1 => String::new(),
            all => format!(" (and {} more)", all - 1),
        };
        unseen.push(format!("{WHAT}: {first}{more}"));
    }
    Ok(deployed)
}

/// The names in a folder; none where there is no such folder.
fn entries(asked: &mut Asked, folder: &str, unseen: &mut Vec<String>) -> Result<Vec<String>> {
    match asked.perform(Effect::Filesystem(filesystem::Effect::Entries { at: place(folder) }))? {
        Answer::Filesystem(filesystem::Answer::Entries(Err(failure))) if is_missing(&failure) => Ok(Vec::new()),
        Answer::Filesystem(filesystem::Answer::Entries(entries)) => {
            Ok(known(entries, WHAT, unseen).unwrap_or_default())
        }
        answer => bail!("entries: {answer:?} is no answer"),
    }
}

/// The content of the newest of these files; none where there is none. A machine that was moved to another datastore
/// may have left one behind.
fn newest(asked: &mut Asked, files: Vec<String>) -> Result<Result<Option<Vec<u8>>, Failure>> {
    let mut newest: Option<(u64, String)> = None;
    for file in files {
        match asked.perform(Effect::Filesystem(filesystem::Effect::Stat { at: place(&file) }))? {
            Answer::Filesystem(filesystem::Answer::Stat(Ok(found))) => {
                newest = newest.max(Some((found.modified, file)));
            }
            Answer::Filesystem(filesystem::Answer::Stat(Err(failure))) if is_missing(&failure) => {}
            Answer::Filesystem(filesystem::Answer::Stat(Err(failure))) => return Ok(Err(failure)),
            answer => bail!("stat: {answer:?} is no answer"),
        }
    }
    let Some((_, file)) = newest else { return Ok(Ok(None)) };
    match asked.perform(Effect::Filesystem(filesystem::Effect::Read { at: place(&file) }))? {
        Answer::Filesystem(filesystem::Answer::Read(content)) => Ok(content.map(Some)),
        answer => bail!("read: {answer:?} is no answer"),
    }
}

fn place(path: &str) -> Place {
    Place { on: Node::Here, path: path.to_owned() }
}

fn is_missing(failure: &Failure) -> bool {
    failure.kind == FailureKind::NotFound
}

/// The interfaces of a machine by its description, the element `VM`.
fn read(vm: u32, content: &[u8]) -> Result<Vec<(Key, Deployed)>> {
    let text = String::from_utf8_lossy(content);
    let document = roxmltree::Document::parse(&text)?;
    let elements = |name: &'static str| {
        document
            .root_element()
            .children()
            .filter(|it| it.has_tag_name("TEMPLATE"))
            .flat_map(move |template| template.children().filter(move |child| child.has_tag_name(name)))
    };
    let names: BTreeMap<u32, &str> = elements("SECURITY_GROUP_RULE")
        .filter_map(|rule| Some((value(rule, "SECURITY_GROUP_ID")?.parse().ok()?, value(rule, "SECURITY_GROUP_NAME")?)))
        .collect();
    let nic = |nic: roxmltree::Node| {
        let id: u32 = value(nic, "NIC_ID")?.parse().ok()?;
        let ids = value(nic, "SECURITY_GROUPS")?.split(',').filter_map(|id| id.trim().parse().ok());
        let groups = ids.map(|id| Group { id, name: names.get(&id).map(|name| (*name).to_owned()) }).collect();
        Some(((vm, id), Deployed { mac: value(nic, "MAC")?.to_owned(), groups }))
    };
    Ok(elements("NIC").filter_map(nic).collect())
}

fn value<'a>(of: roxmltree::Node<'a, '_>, name: &str) -> Option<&'a str> {
    of.children().find(|child| child.has_tag_name(name))?.text().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    const VM: &str = "<VM><ID>7</ID><TEMPLATE><NIC><NIC_ID>0</NIC_ID><MAC><![CDATA[02:00:0A:00:00:07]]></MAC>\
        <SECURITY_GROUPS>0,100, 101</SECURITY_GROUPS></NIC><NIC><NIC_ID>1</NIC_ID><MAC>02:00:0a:00:00:08</MAC></NIC>\
        </TEMPLATE><TEMPLATE><SECURITY_GROUP_RULE><SECURITY_GROUP_ID>100</SECURITY_GROUP_ID>\
        <SECURITY_GROUP_NAME><![CDATA[web <b>]]></SECURITY_GROUP_NAME></SECURITY_GROUP_RULE></TEMPLATE>\
        <USER_TEMPLATE><NIC><NIC_ID>0</NIC_ID><MAC>x</MAC><SECURITY_GROUPS>9</SECURITY_GROUPS></NIC></USER_TEMPLATE></VM>";

    #[test]
    fn groups_have_their_names_where_a_rule_says_them() {
        let nics = read(7, VM.as_bytes()).unwrap();
        let group = |id, name: Option<&str>| Group { id, name: name.map(str::to_owned) };
        assert_eq!(nics.len(), 1, "{nics:?}");
        let (key, deployed) = &nics[0];
        assert_eq!(*key, (7, 0));
        assert_eq!(deployed.groups, [group(0, None), group(100, Some("web <b>")), group(101, None)]);
        assert!(deployed.is_of("fe:00:0a:00:00:07") && !deployed.is_of("fe:00:0a:00:00:08") && !deployed.is_of("fe"));
    }

    #[test]
    fn what_is_no_description_is_an_error() {
        for text in ["", "VM", "<VM>", "<!DOCTYPE VM [<!ENTITY a \"b\">]><VM>&a;</VM>"] {
            assert!(read(7, text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_may_be_in_the_file(at in 0..VM.len(), bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            let mut content = VM.as_bytes().to_vec();
            content.splice(at..(at + bytes.len()).min(VM.len()), bytes);
            let _ = read(7, &content);
        }
    }
}

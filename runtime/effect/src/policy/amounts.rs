//! Numbers in domain XML that keep libvirt's daemon busy for minutes, or end it, while it reads them: it makes
//! room for each virtual CPU, thread, port and queue, and makes every controller up to the one that is named.

use roxmltree::Node;

use super::document::parse;
use super::exceptions::own_text;
use super::reach::attribute;
use crate::types::Failure;

/// Attributes by whose number room is made, or devices up to it.
const COUNTS: [&str; 6] = ["controller", "index", "ports", "queues", "vectors", "slots"];

/// Digits of a number that is made room for.
const DIGITS: usize = 4;
/// Letters of a disk's name that stand for its number: `zzz` of `xvdzzz`.
const LETTERS: usize = 3;

/// Refuses what is beyond any machine.
pub(super) fn check_amounts(element: Node<'_, '_>) -> Result<(), Failure> {
    let name = element.tag_name().name();
    let long = |value: &&str| value.trim().len() > DIGITS;
    let text = matches!(name, "vcpu" | "iothreads").then(|| own_text(element));
    let counted = text.as_deref();
    let in_disk = element.parent().is_some_and(|above| above.tag_name().name() == "disk");
    let disk = attribute(element, "dev").filter(|value| name == "target" && in_disk && far(value));
    // Of a device in a host's tables it is a number that nothing is counted up to.
    let counts = COUNTS.iter().filter(|count| !(name == "acpi" && **count == "index"));
    let attributes = || counts.clone().filter_map(|name| attribute(element, name)).find(|value| long(value));
    let found = counted.filter(long).or_else(attributes).or(disk);
    match found {
        Some(value) => Err(Failure::invalid(format!("XML: <{name}>: {value:?} is more than any machine has"))),
        None => Ok(()),
    }
}

/// The same for a whole description of which nothing else matters.
pub(super) fn check_amounts_of(xml: &str) -> Result<(), Failure> {
    parse("XML", xml)?.descendants().filter(Node::is_element).try_for_each(check_amounts)
}

/// Whether a disk's name stands for a far number. Each kind's prefix ends with its first `d`: `hd`, `xvd`, `ubd`.
fn far(disk: &str) -> bool {
    let number = disk.split_once('d').map_or(disk, |(_, number)| number);
    number.chars().filter(|letter| !letter.is_ascii_digit()).count() > LETTERS
}

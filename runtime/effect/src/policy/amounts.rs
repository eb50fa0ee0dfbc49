//! Numbers in domain XML that keep libvirt's daemon busy for minutes, or end it, while it reads them: it makes
//! room for each virtual CPU and thread, and makes every controller up to the one that a disk names.

use roxmltree::Node;

use super::exceptions::own_text;
use super::reach::attribute;
use crate::types::Failure;

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
    let found = counted.filter(long).or(attribute(element, "controller").filter(long)).or(disk);
    match found {
        Some(value) => Err(Failure::invalid(format!("XML: <{name}>: {value:?} is more than any machine has"))),
        None => Ok(()),
    }
}

/// Whether a disk's name stands for a far number. Each kind's prefix ends with its first `d`: `hd`, `xvd`, `ubd`.
fn far(disk: &str) -> bool {
    let number = disk.split_once('d').map_or(disk, |(_, number)| number);
    number.chars().filter(|letter| !letter.is_ascii_digit()).count() > LETTERS
}

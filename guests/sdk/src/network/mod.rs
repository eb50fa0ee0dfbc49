//! What oned tells the drivers of virtual networks: interfaces, aliases and security groups as records,
//! read once from the virtual machine's document.

mod nic;
mod vm;

pub use nic::{Addresses, Bandwidth, Nic};
pub use vm::{Attached, Direction, GroupRule, Vm};

/// The numbers of a list like `100,200-203`; ranges rise also where they are written falling. None where
/// the text is no such list.
pub fn vlans(text: &str) -> Option<Vec<u16>> {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let mut vlans = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((a, b)) => {
                let (a, b) = (number(a)?, number(b)?);
                vlans.extend(a.min(b)..=a.max(b));
            }
            None => vlans.push(number(part)?),
        }
    }
    Some(vlans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_vlans() {
        assert_eq!(vlans("200,300-302"), Some(vec![200, 300, 301, 302]));
        assert_eq!(vlans("302 - 300 , 7"), Some(vec![300, 301, 302, 7]));
        for text in ["", "a", "1,", "1-2-3", "-1", "70000", "1;2"] {
            assert_eq!(vlans(text), None, "{text}");
        }
    }
}

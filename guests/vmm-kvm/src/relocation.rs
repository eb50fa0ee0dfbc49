//! The saved description of a virtual machine whose system datastore was changed while it was saved.

use remotes_sdk::vm::Action;
use remotes_sdk::xml::{Document, escape};
use remotes_sdk::{Failure, clean, name, parent};

/// The description with the folders of other system datastores replaced by the checkpoint's; none
/// where it needs no change, which leaves libvirt's own copy with its secrets in use.
pub fn relocated(xml: &str, checkpoint: &str, vm_id: u32, action: &str) -> Result<Option<String>, Failure> {
    let datastore = parent(parent(checkpoint));
    let Some(moved) = moved(xml, parent(datastore), name(datastore), vm_id) else { return Ok(None) };
    with_password(moved, action).map(Some)
}

/// Rewrites `LOCATION/<digits>/<vm>` to `LOCATION/<datastore>/<vm>`, for files in that folder and for the
/// folder itself, which the metadata name.
fn moved(xml: &str, location: &str, datastore: &str, vm_id: u32) -> Option<String> {
    if !location.starts_with('/') || location == "/" {
        return None;
    }
    let (location, plain) = (format!("{location}/"), format!("{}/", clean(location)));
    let inside = format!("/{vm_id}");
    let mut result = String::with_capacity(xml.len());
    let (mut rest, mut changed) = (xml, false);
    while let Some(at) = rest.find('/') {
        let (before, path) = rest.split_at(at);
        result.push_str(before);
        // Longer paths that only end like this one are others.
        let starts = !result.ends_with(|c: char| goes_on(c) || c == '/');
        let found = [&location, &plain].into_iter().filter(|_| starts).find_map(|prefix| {
            let below = path.strip_prefix(prefix.as_str())?;
            let digits = below.find(|c: char| !c.is_ascii_digit()).unwrap_or(below.len());
            let (id, after) = below.split_at(digits);
            let after = after.strip_prefix(&inside)?;
            (digits > 0 && id != datastore && !after.starts_with(goes_on)).then_some(after)
        });
        match found {
            Some(after) => {
                result.push_str(&format!("{location}{datastore}{inside}"));
                (rest, changed) = (after, true);
            }
            None => {
                result.push('/');
                rest = &path[1..];
            }
        }
    }
    result.push_str(rest);
    changed.then_some(result)
}

/// Whether a name in a path goes on with this character.
fn goes_on(c: char) -> bool {
    c.is_alphanumeric() || "._-".contains(c)
}

/// libvirt hands the description out without the console's password; the template has it.
fn with_password(xml: String, action: &str) -> Result<String, Failure> {
    if action.trim().is_empty() {
        return Ok(xml);
    }
    let action = Action::parse(action)?;
    let Some(password) = action.template("GRAPHICS/PASSWD") else { return Ok(xml) };
    let document = Document::parse(&xml)?;
    let wanted = document.elements("devices/graphics").into_iter().filter(|graphics| {
        matches!(graphics.attribute("type"), Some("vnc" | "spice")) && graphics.attribute("passwd").is_none()
    });
    let mut result = xml.clone();
    let places: Vec<_> = wanted.map(|graphics| graphics.range().start + "<graphics".len()).collect();
    for place in places.into_iter().rev() {
        result.insert_str(place, &format!(" passwd='{}'", escape(password)));
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What has been moved is where it belongs, and nothing else has changed.
        #[test]
        fn a_move_is_done_once(text in "(/var/lib/one//datastores|/var/lib/one/datastores|/1|/7|/70|/x|'|>|-|\\.)*") {
            let location = "/var/lib/one//datastores";
            if let Some(new) = moved(&text, location, "7", 1) {
                prop_assert_eq!(moved(&new, location, "7", 1), None);
                let plain = |text: &str| clean(&text.replace("/datastores/70/1", "/datastores/7/1").replace("/datastores/1/1", "/datastores/7/1"));
                prop_assert_eq!(plain(&new), plain(&text));
            }
        }
    }
}

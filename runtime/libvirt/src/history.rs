//! What the documents of snapshots and checkpoints have in common.

use remotes_effect::types::Failure;

/// The document of a snapshot or a checkpoint (`what`) may hold the domain's, which a revert brings back to
/// life: it must be that of the domain it is given to.
pub(crate) fn check_owner(what: &str, xml: &str, name: &str) -> Result<(), Failure> {
    let document = roxmltree::Document::parse(xml)
        .map_err(|error| Failure::invalid(format!("{what} XML cannot be parsed: {error}")))?;
    let root = document.root_element();
    let domains = root.children().filter(|node| matches!(node.tag_name().name(), "domain" | "inactiveDomain"));
    for domain in domains {
        let mut names = domain.children().filter(|node| node.tag_name().name() == "name");
        let (Some(found), None) = (names.next(), names.next()) else {
            return Err(Failure::invalid(format!("{what} XML: expected exactly one <name> in its <domain>")));
        };
        let plain = found.children().all(|child| child.is_text());
        let text: String = found.children().filter_map(|child| child.text()).collect();
        if !plain || text != name {
            return Err(Failure::denied(format!("{what} XML: describes another domain than the one it is given to")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use remotes_effect::types::FailureKind;

    #[test]
    fn a_snapshot_is_of_its_own_domain() {
        let of = |inside: &str| check_owner("snapshot", &format!("<domainsnapshot>{inside}</domainsnapshot>"), "one-5");
        assert!(of("<name>snap-0</name>").is_ok());
        assert!(of("<name>snap-0</name><domain><name>one-5</name></domain>").is_ok());
        for (inside, kind) in [
            ("<domain><name>one-50</name></domain>", FailureKind::Denied),
            ("<domain><name>one-<!--5-->5</name></domain>", FailureKind::Denied),
            ("<domain><name>one-5</name></domain><inactiveDomain><name>x</name></inactiveDomain>", FailureKind::Denied),
            ("<domain/>", FailureKind::Invalid),
            ("<domain>", FailureKind::Invalid),
        ] {
            assert_eq!(of(inside).unwrap_err().kind, kind, "{inside}");
        }
    }
}

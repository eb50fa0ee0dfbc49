//! Headers of images, right and wrong ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Command;

use proptest::prelude::*;
use remotes_effect::image::Effect as E;
use remotes_effect::{Effect, Executor as _};
use remotes_host::image::{Format, Header};
use support::qcow2::{RAW_BACKING, header, overlay};
use support::{RW, Sandbox, place};

proptest! {
    #[test]
    fn any_header_is_understood_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), qcow in any::<bool>()) {
        let mut head = if qcow { b"QFI\xfb\0\0\0\x03".to_vec() } else { Vec::new() };
        head.extend(bytes);
        let _ = Header::parse(&head);
    }

    #[test]
    fn a_changed_header_is_understood_or_refused(changes in prop::collection::vec((0usize..200, any::<u8>()), 1..4), length in 0usize..400) {
        let mut head = header(b"/ds/base", &[RAW_BACKING, (0x4441_5441, b"data")], 4);
        for (offset, byte) in changes {
            head[offset] = byte;
        }
        let _ = Header::parse(&head[..length]);
        let _ = Header::parse(&head);
    }

    #[test]
    fn names_come_back(backing in "[a-z/.]{1,60}", data in "[a-z/.]{1,60}", format in "[a-z0-9]{1,10}") {
        let head = header(backing.as_bytes(), &[(0xe279_2aca, format.as_bytes()), (7, b"?"), (0x4441_5441, data.as_bytes())], 4);
        let read = Header::parse(&head).unwrap();
        prop_assert_eq!(read, Header {
            format: Format::Qcow2,
            backing: Some(backing.into_bytes()),
            backing_format: Some(format),
            data_file: Some(data.into_bytes()),
        });
    }
}

/// `qemu-img` and this crate read the same out of changed headers: where both understand one, the names
/// are the same.
#[test]
fn qemu_reads_the_same() {
    let world = Sandbox::new();
    world.file("ds/0/base", "base");
    overlay(&world, "ds/0/disk", "base", "raw");
    let good = std::fs::read(world.path.join("ds/0/disk")).unwrap();
    for (offset, value) in (8..24).flat_map(|offset| [0u8, 1, 2, 0x80].map(|value| (offset, value))) {
        let mut bytes = good.clone();
        bytes[offset] = value;
        world.file("ds/0/disk", &bytes);
        let ours = Header::parse(&bytes).ok().and_then(|header| header.backing);
        let answer =
            world.machine(&[("ds/0", RW)]).execute(&Effect::Image(E::Inspect { at: place(world.at("ds/0/disk")) }));
        let output = Command::new("qemu-img")
            .args(["info", "-f", "qcow2", "--output=json", &world.at("ds/0/disk")])
            .output()
            .unwrap();
        let theirs: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
        let Some(theirs) = theirs else {
            assert!(answer.failure().is_some(), "{offset} {value}: {answer:?}");
            continue;
        };
        let name = theirs.get("backing-filename").and_then(|name| name.as_str()).map(|name| name.as_bytes().to_vec());
        if answer.failure().is_none() {
            assert_eq!(ours, name, "{offset} {value}");
        }
    }
}

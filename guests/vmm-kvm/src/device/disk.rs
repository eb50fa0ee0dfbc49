//! A disk that is to be plugged in.

use remotes_sdk::libvirt;
use remotes_sdk::vm::Action;
use remotes_sdk::xml::{Document, Element, Tag};
use remotes_sdk::{Failure, here, settings};

use super::iotune;
use super::source::Source;

/// `<disk>` for the domain `id`.
pub fn tag(
    id: &str,
    disk: Element<'_, '_>,
    action: &Action<'_>,
    source: &Source,
    target: &str,
) -> Result<Tag, Failure> {
    let is = |key: &str| disk.text(key).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    Ok(Tag::new("disk")
        .with("type", source.kind)
        .with("device", source.device)
        .child(driver(id, disk, action, source, target)?)
        .children(source.tags())
        .child(Tag::new("target").with("dev", target))
        .children(disk.text("ORDER").map(|order| Tag::new("boot").with("order", order)))
        .children(is("READONLY").then(|| Tag::new("readonly")))
        .children(is("SHAREABLE").then(|| Tag::new("shareable")))
        .children(disk.text("LUKS_SECRET").map(|uuid| {
            let secret = Tag::new("secret").with("type", "passphrase").with("uuid", uuid);
            Tag::new("encryption").with("format", "luks").child(secret)
        }))
        .children(iotune::tag(disk)?)
        .children(address(target))
        .children(serial(disk)))
}

fn driver(id: &str, disk: Element<'_, '_>, action: &Action<'_>, source: &Source, target: &str) -> Result<Tag, Failure> {
    let or_default = |key: &str| match disk.text(key) {
        Some(value) => Ok(Some(value.to_owned())),
        None => settings::text(&format!("DEFAULT_ATTACH_{key}")),
    };
    let is_cdrom = disk.text("TYPE").is_some_and(|kind| kind.eq_ignore_ascii_case("cdrom"));
    let format = disk.text("DRIVER").filter(|_| !is_cdrom).unwrap_or("raw");
    let cache = or_default("CACHE")?.unwrap_or_else(|| "default".to_owned());
    let tag = Tag::new("driver")
        .with("name", "qemu")
        .with("type", format)
        .with("cache", cache)
        .with_some("io", or_default("IO")?)
        .with_some("discard", or_default("DISCARD")?);
    if source.device != "disk" || !target.starts_with("vd") {
        return Ok(tag);
    }
    let queues = disk.text("VIRTIO_BLK_QUEUES").or_else(|| action.template("FEATURES/VIRTIO_BLK_QUEUES"));
    let queues = match queues {
        Some(queues) => Some(queues.to_owned()),
        None => settings::text("DEFAULT_ATTACH_VIRTIO_BLK_QUEUES")?,
    };
    let queues = queues.map(|queues| match queues.as_str() {
        "auto" => action.template("VCPU").unwrap_or("1").to_owned(),
        _ => queues,
    });
    Ok(tag.with_some("iothread", iothread(id, disk)?).with_some("queues", queues))
}

/// The I/O thread, where the domain has some: the wanted one, or one by the disk's id.
fn iothread(id: &str, disk: Element<'_, '_>) -> Result<Option<u64>, Failure> {
    let xml = libvirt::xml(&here(), id)?;
    let threads =
        Document::parse(&xml)?.text("iothreads").and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    if threads == 0 {
        return Ok(None);
    }
    let wanted = match disk.text("IOTHREAD") {
        Some(wanted) => Some(wanted.to_owned()),
        None => settings::text("DEFAULT_ATTACH_VIRTIO_BLK_IOTHREAD")?,
    };
    let wanted = wanted.and_then(|wanted| wanted.parse().ok()).filter(|wanted| *wanted > 0);
    let by_disk = || disk.text("DISK_ID").and_then(|id| id.parse::<u64>().ok()).map_or(1, |id| id % threads + 1);
    Ok(Some(wanted.unwrap_or_else(by_disk).min(threads)))
}

/// SCSI disks keep the place that their name says: `sda` is target 0, `sdaa` is 26.
fn address(target: &str) -> Option<Tag> {
    let letters = target.strip_prefix("sd").filter(|letters| (1..=4).contains(&letters.len()))?;
    let number = letters.bytes().try_fold(0u32, |number, letter| {
        letter.is_ascii_lowercase().then(|| number * 26 + u32::from(letter - b'a') + 1)
    })? - 1;
    (number < 256).then(|| {
        let address = Tag::new("address").with("type", "drive").with("controller", 0).with("bus", 0);
        address.with("target", number).with("unit", 0)
    })
}

fn serial(disk: Element<'_, '_>) -> Option<Tag> {
    let permitted = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    disk.text("SERIAL").map(|serial| Tag::new("serial").text(serial.chars().filter(permitted).collect::<String>()))
}

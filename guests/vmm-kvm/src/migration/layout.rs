//! What a machine's folder holds beside what its disks hold, and where it is to be laid.

use std::collections::BTreeSet;

use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::image::{self, Backing};
use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, clean, name, parent};

use super::Journey;
use super::disks::{
    Base, Content, Disk, Image, VOLUMES, based_on, is_disk, is_inside, is_snapshot_folder, is_to_itself, kind,
    snapshot_folder,
};

/// Images below one another.
const MAX_BASES: usize = 200;

/// One thing that is to be there.
#[derive(Debug, Clone)]
pub enum Item {
    /// a copy of what is at the first path
    Copy { source: String, path: String },
    /// an empty image
    Image { path: String, format: String, size: u64, backing: Option<Backing> },
    Link {
        path: String,
        target: String,
        /// what the link that it is a copy of leads to
        old: String,
    },
}

impl Item {
    /// Where it is to be.
    pub fn path(&self) -> &str {
        match self {
            Self::Copy { path, .. } | Self::Image { path, .. } | Self::Link { path, .. } => path,
        }
    }

    /// Whether it may take the place of what is there: the machine's own file, in its own folder, where it
    /// does not run. A transfer driver may have brought it.
    pub fn is_renewed(&self, journey: &Journey) -> bool {
        matches!(self, Self::Copy { path, .. } if is_inside(&journey.to, path))
    }
}

/// Where a path of the machine's folder is to be: what is elsewhere stays there.
pub fn mapped(journey: &Journey, path: &str) -> String {
    match path.strip_prefix(&journey.from) {
        Some(below) if below.starts_with('/') => format!("{}{below}", journey.to),
        _ => path.to_owned(),
    }
}

/// All that is to be there before these disks can be, in the order in which it can be made.
pub fn items(journey: &Journey, xml: &str, disks: &[&Disk]) -> Result<Vec<Item>, Failure> {
    let active: BTreeSet<&str> = disks.iter().filter_map(|disk| image_path(disk)).collect();
    let (mut items, mut images) = (companions(journey, xml)?, Vec::new());
    let mut links = links(journey)?;
    for folder in disks.iter().filter_map(|disk| folder_of_snapshots(journey, disk)).collect::<BTreeSet<_>>() {
        older(journey, &folder, &active, &mut items, &mut links)?;
    }
    for disk in disks {
        match &disk.content {
            Content::Medium => {
                items.push(Item::Copy { source: disk.path.clone(), path: mapped(journey, &disk.path) });
            }
            Content::Image(image) => {
                bases(journey, image, &mut items)?;
                images.push(Item::Image {
                    path: mapped(journey, &image.path),
                    format: image.format.clone(),
                    size: image.size,
                    backing: image.base.as_ref().map(|base| named(journey, &image.path, base)).transpose()?,
                });
            }
            Content::Volume | Content::Elsewhere => {}
        }
    }
    // Names of bases lead through links.
    items.extend(links);
    items.extend(images);
    let mut paths = BTreeSet::new();
    items.retain(|item| paths.insert(item.path().to_owned()));
    Ok(items)
}

/// Folders that these are in.
pub fn folders(journey: &Journey, items: &[Item]) -> Vec<String> {
    let all: BTreeSet<_> = items.iter().map(|item| parent(item.path()).to_owned()).collect();
    std::iter::once(journey.to.clone()).chain(all.into_iter().filter(|folder| *folder != journey.to)).collect()
}

fn image_path(disk: &Disk) -> Option<&str> {
    match &disk.content {
        Content::Image(image) => Some(&image.path),
        _ => None,
    }
}

/// Descriptions of the machine and its snapshots, variables of its firmware, the kept state of its TPM.
fn companions(journey: &Journey, xml: &str) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let mut copy = |path: String| items.push(Item::Copy { path: mapped(journey, &path), source: path });
    for name in filesystem::entries(&journey.here(&*journey.from))? {
        let path = format!("{}/{name}", journey.from);
        let wanted = match name.as_str() {
            "tpm" => Kind::Directory,
            name if name.ends_with(".xml") => Kind::File,
            _ => continue,
        };
        if kind(&journey.here(&*path))? == Some(wanted) {
            copy(path);
        }
    }
    let document = Document::parse(xml)?;
    let variables = document.text("os/nvram").map(|path| clean(path.trim()));
    if let Some(path) = variables.filter(|path| is_inside(&journey.from, path))
        && kind(&journey.here(&*path))? == Some(Kind::File)
    {
        copy(path);
    }
    Ok(items)
}

/// The links `disk.N` of the machine's folder.
fn links(journey: &Journey) -> Result<Vec<Item>, Failure> {
    let mut links = Vec::new();
    for name in filesystem::entries(&journey.here(&*journey.from))?.into_iter().filter(|name| is_disk(name)) {
        let path = format!("{}/{name}", journey.from);
        if kind(&journey.here(&*path))? == Some(Kind::Symlink) {
            let old = filesystem::read_link(&journey.here(&*path))?;
            links.push(Item::Link { path: mapped(journey, &path), target: moved_target(journey, &old), old });
        }
    }
    Ok(links)
}

/// What a link is to lead to: a volume to that of the other datastore, what is in the folder to the new one.
fn moved_target(journey: &Journey, target: &str) -> String {
    let id = |folder: &str| name(parent(folder)).to_owned();
    match target.strip_prefix(VOLUMES).and_then(|rest| rest.split_once('/')) {
        Some((datastore, volume)) if datastore == id(&journey.from) => {
            format!("{VOLUMES}{}/{volume}", id(&journey.to))
        }
        _ if target.starts_with('/') => mapped(journey, &clean(target)),
        _ => target.to_owned(),
    }
}

/// The folder that holds a disk's snapshots, as far as it has one in the machine's folder.
fn folder_of_snapshots(journey: &Journey, disk: &Disk) -> Option<String> {
    let beside = || {
        let folder = format!("{}.snap", disk.path);
        (kind(&journey.here(&*folder)) == Ok(Some(Kind::Directory))).then_some(folder)
    };
    let folder = snapshot_folder(&disk.path).map(str::to_owned).or_else(beside)?;
    is_inside(&journey.from, &folder).then_some(folder)
}

/// How the new image is to name what the old one at this path is based on: so that the folder can be moved as a whole
/// later on, wherever the base is in it.
fn named(journey: &Journey, image: &str, base: &Base) -> Result<Backing, Failure> {
    let folder = parent(image);
    let below = base.path.strip_prefix(folder).and_then(|below| below.strip_prefix('/'));
    let path = match below {
        _ if !is_inside(&journey.from, &base.path) => base.path.clone(),
        _ if !base.name.starts_with('/') => base.name.clone(),
        // From the folder above it, where the link to the image is, this leads there as well.
        Some(below) if is_snapshot_folder(name(folder)) && is_to_itself(journey, folder)? => {
            format!("{}/{below}", name(folder))
        }
        Some(below) => below.to_owned(),
        None => mapped(journey, &base.path),
    };
    Ok(Backing { path, format: base.format.clone() })
}

/// Images in the machine's folder that this one is based on, wherever they are in it.
fn bases(journey: &Journey, image: &Image, items: &mut Vec<Item>) -> Result<(), Failure> {
    let mut below = image.base.clone();
    for _ in 0..MAX_BASES {
        let Some(base) = below.filter(|base| is_inside(&journey.from, &base.path)) else { return Ok(()) };
        items.push(Item::Copy { path: mapped(journey, &base.path), source: base.path.clone() });
        // What that begins with is a guest's.
        if base.format == "raw" {
            return Ok(());
        }
        let info = image::inspect(&journey.here(&*base.path))?;
        if journey.from != journey.to && info.backing_file.as_ref().is_some_and(|it| is_inside(&journey.from, it)) {
            return Err(Failure::unsupported(format!(
                "{} names what it is based on by its path in this datastore ({}): migrate the machine powered off",
                base.path,
                info.backing_file.unwrap_or_default()
            )));
        }
        below = based_on(journey, &base.path, info)?;
    }
    Err(Failure::invalid(format!("{} is based on more than {MAX_BASES} images", image.path)))
}

/// All in a folder of snapshots but the images that are written to: nobody else writes there.
fn older(
    journey: &Journey,
    folder: &str,
    active: &BTreeSet<&str>,
    items: &mut Vec<Item>,
    links: &mut Vec<Item>,
) -> Result<(), Failure> {
    for name in filesystem::entries(&journey.here(folder))? {
        let source = format!("{folder}/{name}");
        if active.contains(source.as_str()) {
            continue;
        }
        let path = mapped(journey, &source);
        match kind(&journey.here(&*source))? {
            Some(Kind::Symlink) => {
                let old = filesystem::read_link(&journey.here(&*source))?;
                links.push(Item::Link { path, target: moved_target(journey, &old), old });
            }
            Some(_) => items.push(Item::Copy { source, path }),
            None => {}
        }
    }
    Ok(())
}

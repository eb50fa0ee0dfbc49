//! The disks of a running machine, and what their files are.

use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::image::{self, Info};
use remotes_sdk::xml::{Document, Element};
use remotes_sdk::{Failure, FailureKind, Place, clean, name, parent};

use super::Journey;

/// Where LVM's datastores have their volumes: `vg-one-` and the datastore's id.
pub const VOLUMES: &str = "/dev/vg-one-";

/// Whether a path is in the machine's folder.
pub fn is_inside(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|below| below.starts_with('/'))
}

/// One disk that has something in it.
#[derive(Debug)]
pub struct Disk {
    /// `vda`
    pub target: String,
    /// where the domain has it
    pub path: String,
    /// its description
    pub xml: String,
    /// a medium that can be exchanged while the machine runs
    pub removable: bool,
    pub content: Content,
}

/// What is at a disk's path.
#[derive(Debug)]
pub enum Content {
    /// an image that the guest may write to
    Image(Image),
    /// a file that nobody writes to
    Medium,
    /// a link to a volume of LVM
    Volume,
    /// a link into elsewhere, or a device: storage that every host reaches
    Elsewhere,
}

/// An image file.
#[derive(Debug)]
pub struct Image {
    /// the disk's path, or what the link there leads to
    pub path: String,
    pub format: String,
    pub size: u64,
    pub base: Option<Base>,
    /// names of the snapshots inside
    pub snapshots: Vec<String>,
}

/// What an image is based on.
#[derive(Debug, Clone)]
pub struct Base {
    /// where it is
    pub path: String,
    /// how the image names it
    pub name: String,
    pub format: String,
}

/// All disks of the description; drives without medium and storage by network are none of a move's business.
pub fn survey(journey: &Journey, xml: &str) -> Result<Vec<Disk>, Failure> {
    let document = Document::parse(xml)?;
    let all = document.elements("devices").into_iter().flat_map(|devices| devices.elements("disk"));
    let mut disks = Vec::new();
    for element in all {
        let target = element.first("target").and_then(|target| target.attribute("dev"));
        let (Some(target), Some(path)) = (target, path(element)) else { continue };
        let content = content(journey, element, &path)
            .map_err(|failure| Failure { message: format!("disk {target}: {}", failure.message), ..failure })?;
        disks.push(Disk {
            target: target.to_owned(),
            path,
            xml: xml[element.range()].to_owned(),
            removable: is_removable(element),
            content,
        });
    }
    Ok(disks)
}

/// The path of a disk's file or device.
pub fn path(disk: Element<'_, '_>) -> Option<String> {
    let source = disk.first("source")?;
    let path = source.attribute("file").or_else(|| source.attribute("dev"))?;
    path.starts_with('/').then(|| clean(path))
}

/// Whether its medium can be exchanged while the machine runs.
pub fn is_removable(disk: Element<'_, '_>) -> bool {
    matches!(disk.attribute("device"), Some("cdrom" | "floppy"))
}

/// Whether the disk is one without a header: what it begins with is the guest's, and says nothing. libvirt takes one
/// whose format is not given for that, too.
pub fn is_raw(disk: Element<'_, '_>) -> bool {
    matches!(disk.first("driver").and_then(|driver| driver.attribute("type")), None | Some("raw"))
}

fn content(journey: &Journey, disk: Element<'_, '_>, path: &str) -> Result<Content, Failure> {
    if path.starts_with("/dev/") {
        return Ok(Content::Elsewhere);
    }
    let place = journey.here(path);
    match filesystem::stat(&place)?.kind {
        Kind::File => {}
        Kind::BlockDevice => return Ok(Content::Elsewhere),
        Kind::Symlink => return link(journey, disk, &place),
        _ => return Err(Failure::invalid(format!("{path} is neither a file, a device nor a link"))),
    }
    let image = image(journey, disk, path)?;
    let read_only = disk.first("readonly").is_some() || is_removable(disk);
    match read_only && image.format == "raw" {
        true => Ok(Content::Medium),
        false => Ok(Content::Image(image)),
    }
}

fn link(journey: &Journey, disk: Element<'_, '_>, place: &Place) -> Result<Content, Failure> {
    let target = filesystem::read_link(place)?;
    if snapshot_folder(&place.path).is_some() {
        let path = below(parent(&place.path), &target);
        return Ok(Content::Image(image(journey, disk, &path)?));
    }
    match target.starts_with(VOLUMES) {
        true => Ok(Content::Volume),
        false => Ok(Content::Elsewhere),
    }
}

fn image(journey: &Journey, disk: Element<'_, '_>, path: &str) -> Result<Image, Failure> {
    let path = straight(journey, clean(path))?;
    if is_raw(disk) {
        let found = filesystem::stat(&journey.here(&*path))?;
        return match found.kind {
            Kind::File => {
                Ok(Image { path, format: "raw".to_owned(), size: found.size, base: None, snapshots: Vec::new() })
            }
            kind => Err(Failure::invalid(format!("{path}: expected the file of a raw disk, found {kind:?}"))),
        };
    }
    let info = image::inspect(&journey.here(&*path))?;
    let (format, size, snapshots) = (info.format.clone(), info.virtual_size, info.snapshots.clone());
    Ok(Image { base: based_on(journey, &path, info)?, path, format, size, snapshots })
}

/// What the image at this path is based on.
pub fn based_on(journey: &Journey, path: &str, info: Info) -> Result<Option<Base>, Failure> {
    let Some(name) = info.backing_file else { return Ok(None) };
    let path = straight(journey, below(parent(path), &name))?;
    // What is not said is what is safe: a format is never guessed.
    Ok(Some(Base { path, name, format: info.backing_format.unwrap_or_else(|| "raw".to_owned()) }))
}

/// A path without the link to itself that a folder of snapshots has, `disk.0.snap/disk.0.snap`, so that one name leads
/// to a snapshot from within the folder and from above it.
fn straight(journey: &Journey, mut path: String) -> Result<String, Failure> {
    while let Some(folder) = snapshot_folder(&path)
        && let own = format!("{folder}/{}", name(folder))
        && let Some(below) = path.strip_prefix(&own).filter(|below| below.starts_with('/'))
        && is_to_itself(journey, folder)?
    {
        path = format!("{folder}{below}");
    }
    Ok(path)
}

/// Whether a folder of snapshots has its link to itself.
pub fn is_to_itself(journey: &Journey, folder: &str) -> Result<bool, Failure> {
    let link = journey.here(format!("{folder}/{}", name(folder)));
    Ok(kind(&link)? == Some(Kind::Symlink) && filesystem::read_link(&link)?.trim_end_matches('/') == ".")
}

/// A path that is written in this folder, from the root.
fn below(folder: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => clean(path),
        false => clean(&format!("{folder}/{path}")),
    }
}

/// The folder of a disk's snapshots, `…/disk.N.snap`, where the path leads through one.
pub fn snapshot_folder(path: &str) -> Option<&str> {
    let mut end = 0;
    for name in path.split('/') {
        end += name.len();
        if is_snapshot_folder(name) && end < path.len() {
            return Some(&path[..end]);
        }
        end += 1;
    }
    None
}

/// `disk.N.snap`
pub fn is_snapshot_folder(name: &str) -> bool {
    name.strip_prefix("disk.").and_then(|name| name.strip_suffix(".snap")).is_some_and(is_number)
}

/// `disk.N`
pub fn is_disk(name: &str) -> bool {
    name.strip_prefix("disk.").is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Refuses images with snapshots inside: neither a storage migration nor a copy of a disk takes those along,
/// and to put the file over it afterwards would take it away from under the guest.
pub fn refuse_snapshots<'a>(images: impl IntoIterator<Item = &'a Image>) -> Result<(), Failure> {
    match images.into_iter().find(|image| !image.snapshots.is_empty()) {
        None => Ok(()),
        Some(image) => Err(Failure::unsupported(format!(
            "{} holds system snapshots ({}), which do not move with a running machine: delete them, or migrate it \
             powered off",
            image.path,
            image.snapshots.join(", ")
        ))),
    }
}

/// Refuses a machine that has a disk in its folder of a third datastore: a move to there has happened, and oned knows
/// nothing of it. Nobody would move that disk, but what oned holds for its folder is removed.
pub fn refuse_strays(journey: &Journey, disks: &[Disk], other_goal: Option<&str>) -> Result<(), Failure> {
    let stray = disks.iter().find_map(|disk| {
        let noted = other_goal.filter(|goal| is_inside(goal, &disk.path));
        Some((disk, noted.or_else(|| third_folder(journey, &disk.path))?))
    });
    match stray {
        None => Ok(()),
        Some((disk, folder)) => Err(Failure::invalid(format!(
            "{} is in {folder}, where an earlier migration has moved it, and neither in {} nor in {}; nothing was touched: \
             repeat the migration to that datastore, so that OpenNebula learns where the machine is",
            disk.target, journey.from, journey.to
        ))),
    }
}

/// The machine's folder in a datastore that it neither leaves nor goes to, where the path leads into one.
fn third_folder<'p>(journey: &Journey, path: &'p str) -> Option<&'p str> {
    let machine = journey.vm_id.to_string();
    [&journey.from, &journey.to].into_iter().find_map(|known| {
        let location = parent(parent(known));
        let mut names = path.strip_prefix(location)?.strip_prefix('/')?.splitn(3, '/');
        let (datastore, folder, _) = (names.next()?, names.next()?, names.next()?);
        let found = &path[..location.len() + datastore.len() + folder.len() + 2];
        let third = is_number(datastore) && folder == machine && found != journey.from && found != journey.to;
        third.then_some(found)
    })
}

/// What is at a place, as far as anything is.
pub fn kind(place: &Place) -> Result<Option<Kind>, Failure> {
    match filesystem::stat(place) {
        Ok(metadata) => Ok(Some(metadata.kind)),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_folder_is_known_by_its_name() {
        for (path, folder) in [
            ("/ds/0/23/disk.0.snap/0", Some("/ds/0/23/disk.0.snap")),
            ("/ds/0/23/disk.12.snap/a/b", Some("/ds/0/23/disk.12.snap")),
            ("/ds/0/23/disk.0.snap", None),
            ("/ds/0/23/disk..snap/0", None),
            ("/ds/0/23/disk.x.snap/0", None),
            ("/ds/100/abcdef.snap/0", None),
        ] {
            assert_eq!(snapshot_folder(path), folder, "{path}");
        }
    }
}

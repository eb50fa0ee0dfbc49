//! Limits of a disk's throughput.

use remotes_sdk::xml::{Element, Tag};
use remotes_sdk::{Failure, settings};

/// One limit, with its burst.
struct Limit {
    base: Option<String>,
    most: Option<String>,
    length: Option<String>,
}

impl Limit {
    /// `TOTAL_BYTES_SEC` and its like: the disk's, or kvmrc's default.
    fn read(disk: Element<'_, '_>, key: &str) -> Result<Self, Failure> {
        let value = |key: String| match disk.text(&key) {
            Some(value) => Ok(Some(value.to_owned())),
            None => settings::text(&format!("DEFAULT_ATTACH_{key}")),
        };
        Ok(Self {
            base: value(format!("{key}_SEC"))?,
            most: value(format!("{key}_SEC_MAX"))?,
            length: value(format!("{key}_SEC_MAX_LENGTH"))?,
        })
    }

    fn is_set(&self) -> bool {
        self.base.is_some() || self.most.is_some()
    }

    /// A burst counts only beyond the base, and its length only with it.
    fn tags(&self, names: [&'static str; 3]) -> Vec<Tag> {
        let number = |text: &Option<String>| text.as_deref().map_or(Some(0), |text| text.parse::<u64>().ok());
        let mut tags: Vec<_> = self.base.iter().map(|base| Tag::new(names[0]).text(base)).collect();
        if let (Some(most), true) = (&self.most, number(&self.most) > number(&self.base)) {
            tags.push(Tag::new(names[1]).text(most));
            tags.extend(self.length.iter().map(|length| Tag::new(names[2]).text(length)));
        }
        tags
    }
}

macro_rules! names {
    ($name:literal) => {
        [concat!($name, "_sec"), concat!($name, "_sec_max"), concat!($name, "_sec_max_length")]
    };
}

/// `<iotune>`; none where nothing is limited. A total excludes limits of reading and writing.
pub fn tag(disk: Element<'_, '_>) -> Result<Option<Tag>, Failure> {
    let read = |key| Limit::read(disk, key);
    let (bytes, read_bytes, write_bytes) = (read("TOTAL_BYTES")?, read("READ_BYTES")?, read("WRITE_BYTES")?);
    let (iops, read_iops, write_iops) = (read("TOTAL_IOPS")?, read("READ_IOPS")?, read("WRITE_IOPS")?);
    if ![&bytes, &read_bytes, &write_bytes, &iops, &read_iops, &write_iops].into_iter().any(Limit::is_set) {
        return Ok(None);
    }
    let mut tune = Tag::new("iotune");
    tune = match bytes.is_set() {
        true => tune.children(bytes.tags(names!("total_bytes"))),
        false => tune.children(read_bytes.tags(names!("read_bytes"))).children(write_bytes.tags(names!("write_bytes"))),
    };
    tune = match iops.is_set() {
        true => tune.children(iops.tags(names!("total_iops"))),
        false => tune.children(read_iops.tags(names!("read_iops"))).children(write_iops.tags(names!("write_iops"))),
    };
    let size = match disk.text("SIZE_IOPS_SEC") {
        Some(size) => Some(size.to_owned()),
        None => settings::text("DEFAULT_ATTACH_SIZE_IOPS_SEC")?,
    };
    let counted = [&iops, &read_iops, &write_iops].into_iter().any(|limit| limit.base.is_some());
    Ok(Some(tune.children(size.filter(|_| counted).map(|size| Tag::new("size_iops_sec").text(size)))))
}

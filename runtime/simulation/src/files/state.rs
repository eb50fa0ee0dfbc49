//! A tree as a flat table by absolute path, for state files: folders above an entry are made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Directory, Entry, File, Image, Link, Tree, TreeError};

#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Flat(BTreeMap<String, Row>);

#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    File,
    Directory,
    Link,
    BlockDevice,
    Other,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Row {
    kind: Kind,
    /// A file's content, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// A file's content, in base64, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Bytes, where a file has a hole at its end, or of a block device.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<u64>,
    /// Where a link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image>,
}

impl From<Tree> for Flat {
    fn from(tree: Tree) -> Self {
        let mut rows = BTreeMap::new();
        let root = Entry::Directory(tree.root);
        flatten("", &root, &mut rows);
        Self(rows)
    }
}

fn flatten(path: &str, entry: &Entry, rows: &mut BTreeMap<String, Row>) {
    let shown = if path.is_empty() { "/" } else { path };
    rows.insert(shown.to_owned(), Row::of(entry));
    if let Entry::Directory(directory) = entry {
        for (name, below) in &directory.entries {
            flatten(&format!("{path}/{name}"), below, rows);
        }
    }
}

impl TryFrom<Flat> for Tree {
    type Error = TreeError;

    fn try_from(Flat(rows): Flat) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        // In order of paths, folders come before what is in them.
        for (path, row) in rows {
            let entry = row.entry(&path)?;
            match (super::names(&path)?.is_empty(), entry) {
                (true, Entry::Directory(root)) => tree.root = root,
                (true, _) => return Err(TreeError::NotADirectory(path)),
                (false, Entry::Directory(directory)) => {
                    tree.put_directory(&path)?;
                    if let Some(Entry::Directory(there)) = tree.at_mut(&super::names(&path)?) {
                        (there.mode, there.modified) = (directory.mode, directory.modified);
                    }
                }
                (false, entry) => tree.put(&path, entry)?,
            }
        }
        Ok(tree)
    }
}

impl Row {
    fn of(entry: &Entry) -> Self {
        match entry {
            Entry::File(file) => {
                let text = String::from_utf8(file.content.clone()).ok();
                let base64 = text.is_none().then(|| encode(&file.content));
                Self {
                    text,
                    base64,
                    size: (file.image.is_some() || file.size != file.content.len() as u64).then_some(file.size),
                    mode: Some(file.mode),
                    modified: Some(file.modified),
                    image: file.image.clone(),
                    ..Self::default()
                }
            }
            Entry::Directory(directory) => Self {
                kind: Kind::Directory,
                mode: Some(directory.mode),
                modified: Some(directory.modified),
                ..Self::default()
            },
            Entry::Link(link) => Self {
                kind: Kind::Link,
                target: Some(link.target.clone()),
                modified: Some(link.modified),
                ..Self::default()
            },
            Entry::BlockDevice(size) => Self { kind: Kind::BlockDevice, size: Some(*size), ..Self::default() },
            Entry::Other => Self { kind: Kind::Other, ..Self::default() },
        }
    }

    fn entry(self, path: &str) -> Result<Entry, TreeError> {
        let wrong = |reason: &str| TreeError::Entry { path: path.to_owned(), reason: reason.to_owned() };
        if self.kind != Kind::File && (self.text.is_some() || self.base64.is_some() || self.image.is_some()) {
            return Err(wrong("only a file has `text`, `base64` or `image`"));
        }
        let modified = self.modified.unwrap_or(0);
        Ok(match self.kind {
            Kind::File => {
                let content = match (self.text, self.base64) {
                    (Some(_), Some(_)) => return Err(wrong("has both `text` and `base64`")),
                    (Some(text), None) => text.into_bytes(),
                    (None, Some(text)) => decode(&text).ok_or_else(|| wrong("`base64` is none"))?,
                    (None, None) => Vec::new(),
                };
                let size = self.size.unwrap_or(content.len() as u64);
                if size < content.len() as u64 {
                    return Err(wrong("`size` is less than its content"));
                }
                let file = match self.image {
                    Some(image) if content.is_empty() && self.size.is_none() => File::of_image(image),
                    image => File { content, size, image, ..File::default() },
                };
                Entry::File(File { mode: self.mode.unwrap_or(0o644), modified, ..file })
            }
            Kind::Directory => {
                Entry::Directory(Directory { mode: self.mode.unwrap_or(0o755), modified, ..Directory::default() })
            }
            Kind::Link => {
                let target = self.target.ok_or_else(|| wrong("a link has a `target`"))?;
                Entry::Link(Link { target, modified })
            }
            Kind::BlockDevice => Entry::BlockDevice(self.size.unwrap_or(0)),
            Kind::Other => Entry::Other,
        })
    }
}

fn encode(content: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(content)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

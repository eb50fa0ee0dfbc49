//! Where a disk's data is.

use remotes_sdk::vm::Action;
use remotes_sdk::xml::{Element, Tag};
use remotes_sdk::{Failure, name};

use crate::disks;

/// A disk's source, by the type of the disk and of its datastore.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// `file`, `block` or `network`
    pub kind: &'static str,
    /// `disk` or `cdrom`
    pub device: &'static str,
    /// the path or name
    pub value: String,
    protocol: Option<&'static str>,
    hosts: Vec<Tag>,
    auth: Option<Tag>,
}

impl Source {
    /// The source of a disk that oned placed at `path`.
    pub fn of(disk: Element<'_, '_>, action: &Action<'_>, path: &str) -> Result<Self, Failure> {
        let kind = disk.text("TYPE").unwrap_or_default().to_lowercase();
        let device = if kind == "cdrom" || kind.ends_with("_cdrom") { "cdrom" } else { "disk" };
        Described { disk, action, path, device }.by_type(&kind)
    }

    fn behind_link(mut self) -> Result<Self, Failure> {
        if let Some(target) = disks::target(&self.value)? {
            self.value = target;
        }
        Ok(self)
    }

    /// The attribute of `<source>` that holds the value.
    pub fn attribute(&self) -> &'static str {
        match self.kind {
            "file" => "file",
            "block" => "dev",
            _ => "name",
        }
    }

    /// `<source>` and, where there is one, `<auth>`.
    pub fn tags(&self) -> Vec<Tag> {
        let source = Tag::new("source").with(self.attribute(), &self.value).with_some("protocol", self.protocol);
        let source = source.children(self.hosts.iter().cloned());
        std::iter::once(source).chain(self.auth.clone()).collect()
    }
}

/// A disk as oned describes it.
struct Described<'a, 'b, 'c> {
    disk: Element<'a, 'b>,
    action: &'c Action<'c>,
    path: &'c str,
    device: &'static str,
}

impl Described<'_, '_, '_> {
    fn by_type(&self, kind: &str) -> Result<Source, Failure> {
        match kind {
            "block" | "block_cdrom" => Ok(self.local("block")),
            "cdrom" if self.text("DISK_TYPE") == "BLOCK" => Ok(self.local("block")),
            "cdrom" => self.local("file").behind_link(),
            "iscsi" => Ok(self.iscsi()),
            "rbd" | "rbd_cdrom" if self.text("SOURCE").is_empty() => {
                let pool = self.disk.text("POOL_NAME").unwrap_or("one");
                Ok(self.ceph(format!("{pool}/one-sys-{}", self.ids()?)))
            }
            "rbd" | "rbd_cdrom" => Ok(self.ceph(self.image()?)),
            "sheepdog" | "sheepdog_cdrom" => self.sheepdog(),
            "gluster" | "gluster_cdrom" => self.gluster(),
            _ => self.by_datastore(),
        }
    }

    /// Images of files, volatile disks and swap.
    fn by_datastore(&self) -> Result<Source, Failure> {
        match self.text("DISK_TYPE") {
            "RBD" => Ok(self.ceph(format!("{}/one-sys-{}", self.text("POOL_NAME"), self.ids()?))),
            "BLOCK" => Ok(self.local("block")),
            "SHEEPDOG" | "SHEEPDOG_CDROM" => self.sheepdog(),
            "GLUSTER" => self.gluster(),
            _ => self.local("file").behind_link(),
        }
    }

    fn text(&self, key: &str) -> &str {
        self.disk.text(key).unwrap_or_default()
    }

    fn is_clone(&self) -> bool {
        self.text("CLONE") == "YES"
    }

    /// What tells the machine's disks apart from those of others.
    fn ids(&self) -> Result<String, Failure> {
        Ok(format!("{}-{}", self.action.vm_id()?, self.text("DISK_ID")))
    }

    /// The image, or the machine's own copy of it.
    fn image(&self) -> Result<String, Failure> {
        let image = self.text("SOURCE");
        if self.is_clone() { Ok(format!("{image}-{}", self.ids()?)) } else { Ok(image.to_owned()) }
    }

    fn local(&self, kind: &'static str) -> Source {
        let (device, value) = (self.device, self.path.to_owned());
        Source { kind, device, value, protocol: None, hosts: vec![], auth: None }
    }

    fn network(&self, protocol: &'static str, value: String, hosts: Vec<Tag>, auth: Option<Tag>) -> Source {
        Source { kind: "network", device: self.device, value, protocol: Some(protocol), hosts, auth }
    }

    fn iscsi(&self) -> Source {
        let target = self.disk.text("ISCSI_IQN").unwrap_or(self.text("SOURCE")).to_owned();
        let auth = auth(self.disk, "ISCSI_USER", "iscsi", "usage", "ISCSI_USAGE");
        self.network("iscsi", target, hosts(self.text("ISCSI_HOST"), None), auth)
    }

    fn ceph(&self, value: String) -> Source {
        let auth = auth(self.disk, "CEPH_USER", "ceph", "uuid", "CEPH_SECRET");
        self.network("rbd", value, hosts(self.text("CEPH_HOST"), None), auth)
    }

    fn sheepdog(&self) -> Result<Source, Failure> {
        Ok(self.network("sheepdog", self.image()?, hosts(self.text("SHEEPDOG_HOST"), Some("tcp")), None))
    }

    fn gluster(&self) -> Result<Source, Failure> {
        let inside = match self.is_clone() {
            true => format!("{}/disk.{}", self.action.vm_id()?, self.text("DISK_ID")),
            false => name(self.text("SOURCE")).to_owned(),
        };
        let volume = format!("{}/{inside}", self.text("GLUSTER_VOLUME"));
        Ok(self.network("gluster", volume, hosts(self.text("GLUSTER_HOST"), Some("tcp")), None))
    }
}

/// `host[:port]` separated by blanks. No default port is added.
fn hosts(list: &str, transport: Option<&str>) -> Vec<Tag> {
    let hosts = list.split_whitespace().map(|host| {
        let (name, port) = host.split_once(':').unwrap_or((host, ""));
        let port = Some(port).filter(|port| !port.is_empty());
        Tag::new("host").with("name", name).with_some("port", port).with_some("transport", transport)
    });
    hosts.collect()
}

fn auth(disk: Element<'_, '_>, user: &str, kind: &'static str, by: &'static str, secret: &str) -> Option<Tag> {
    let (user, secret) = (disk.text(user)?, disk.text(secret)?);
    Some(Tag::new("auth").with("username", user).child(Tag::new("secret").with("type", kind).with(by, secret)))
}

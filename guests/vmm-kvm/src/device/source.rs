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
        let text = |key| disk.text(key).unwrap_or_default();
        let kind = text("TYPE").to_lowercase();
        let device = if kind == "cdrom" || kind.ends_with("_cdrom") { "cdrom" } else { "disk" };
        let ids = || Ok::<_, Failure>(format!("{}-{}", action.vm_id()?, text("DISK_ID")));
        let with_ids = |source: String| match text("CLONE") {
            "YES" => Ok(format!("{source}-{}", ids()?)),
            _ => Ok(source),
        };
        let image = text("SOURCE").to_owned();
        let network = |protocol, value, hosts, auth| Self {
            kind: "network",
            device,
            value,
            protocol: Some(protocol),
            hosts,
            auth,
        };
        let gluster = || {
            let inside = match text("CLONE") {
                "YES" => format!("{}/disk.{}", action.vm_id()?, text("DISK_ID")),
                _ => name(&image).to_owned(),
            };
            let volume = format!("{}/{inside}", text("GLUSTER_VOLUME"));
            Ok::<_, Failure>(network("gluster", volume, hosts(text("GLUSTER_HOST"), Some("tcp")), None))
        };
        let sheepdog = || {
            Ok::<_, Failure>(network(
                "sheepdog",
                with_ids(image.clone())?,
                hosts(text("SHEEPDOG_HOST"), Some("tcp")),
                None,
            ))
        };
        let ceph = |value| {
            let auth = auth(disk, "CEPH_USER", "ceph", "uuid", "CEPH_SECRET");
            network("rbd", value, hosts(text("CEPH_HOST"), None), auth)
        };
        let local = |kind| Self { kind, device, value: path.to_owned(), protocol: None, hosts: vec![], auth: None };
        match kind.as_str() {
            "block" | "block_cdrom" => Ok(local("block")),
            "cdrom" if text("DISK_TYPE") == "BLOCK" => Ok(local("block")),
            "cdrom" => local("file").behind_link(),
            "iscsi" => {
                let target = disk.text("ISCSI_IQN").map_or(image, str::to_owned);
                let auth = auth(disk, "ISCSI_USER", "iscsi", "usage", "ISCSI_USAGE");
                Ok(network("iscsi", target, hosts(text("ISCSI_HOST"), None), auth))
            }
            "rbd" | "rbd_cdrom" if image.is_empty() => {
                let pool = disk.text("POOL_NAME").unwrap_or("one");
                Ok(ceph(format!("{pool}/one-sys-{}", ids()?)))
            }
            "rbd" | "rbd_cdrom" => Ok(ceph(with_ids(image)?)),
            "sheepdog" | "sheepdog_cdrom" => sheepdog(),
            "gluster" | "gluster_cdrom" => gluster(),
            // Images of files, volatile disks and swap: by the datastore.
            _ => match text("DISK_TYPE") {
                "RBD" => Ok(ceph(format!("{}/one-sys-{}", text("POOL_NAME"), ids()?))),
                "BLOCK" => Ok(local("block")),
                "SHEEPDOG" | "SHEEPDOG_CDROM" => sheepdog(),
                "GLUSTER" => gluster(),
                _ => local("file").behind_link(),
            },
        }
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

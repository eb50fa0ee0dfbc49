//! A guest of one boot sector. It prints `GUEST UP` on its console, then sleeps, and powers off when
//! the ACPI power button is pressed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{PrivateLibvirt, until};

const BOOT_SECTOR: &[u8] = include_bytes!("../../golden/guest/boot.bin");
const DISK_BYTES: u64 = 1024 * 1024;

/// Format of a guest's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// plain bytes
    Raw,
    /// takes internal snapshots
    Qcow2,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// A guest's names and files. Change a field before asking for its XML.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Name of the domain, `one-ID`.
    pub name: String,
    /// UUID of the domain.
    pub uuid: String,
    /// The folder that oned would call the VM's system datastore folder.
    pub folder: PathBuf,
    /// The disk.
    pub disk: PathBuf,
    /// Format of the disk.
    pub format: Format,
    /// What the guest prints; appended to at every start.
    pub console: PathBuf,
    /// Memory in MiB; 32 suffices.
    pub memory: u32,
    /// With KVM instead of QEMU's own emulation. Where KVM is nested, emulation is the faster one for
    /// this guest, since it hardly leaves real mode.
    pub kvm: bool,
}

impl Guest {
    /// A guest with a raw disk of 1 MiB, in a folder of its own below [`PrivateLibvirt::guests`].
    pub fn new(libvirt: &PrivateLibvirt, id: u32) -> io::Result<Self> {
        Self::in_folder(&libvirt.guests().join(id.to_string()), id)
    }

    /// A guest with its files in this folder, which is made.
    pub fn in_folder(folder: &Path, id: u32) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let guest = Self {
            name: format!("one-{id}"),
            uuid: format!("6f6e6500-0000-4000-8000-{id:012}"),
            folder: folder.to_owned(),
            disk: folder.join("disk.0"),
            format: Format::Raw,
            console: folder.join("console"),
            memory: 32,
            kvm: false,
        };
        guest_disk(&guest.disk)?;
        std::fs::write(&guest.console, "")?;
        Ok(guest)
    }

    /// The same guest with its disk converted to qcow2.
    pub fn with_qcow2(mut self) -> io::Result<Self> {
        let qcow2 = self.folder.join("disk.qcow2");
        let status = Command::new("qemu-img")
            .args(["convert", "-f", "raw", "-O", "qcow2"])
            .args([&self.disk, &qcow2])
            .stdin(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("qemu-img: {status}")));
        }
        std::fs::rename(qcow2, &self.disk)?;
        self.format = Format::Qcow2;
        Ok(self)
    }

    /// The same guest where its files are seen in another folder; nothing is made there. What is put into
    /// [`Pair::own_of`](crate::Pair::own_of) needs it for its XML.
    pub fn seen_in(&self, folder: &Path) -> Self {
        let seen = |path: &Path| path.file_name().map_or_else(|| folder.to_owned(), |name| folder.join(name));
        Self { folder: folder.to_owned(), disk: seen(&self.disk), console: seen(&self.console), ..self.clone() }
    }

    /// The deployment file as oned writes it, as far as a session daemon can run it: no bridges, no
    /// cgroups; and with a console that ends in a file.
    pub fn xml(&self) -> String {
        let Self { name, uuid, memory, .. } = self;
        let memory = memory * 1024;
        let kind = if self.kvm { "kvm" } else { "qemu" };
        let format = self.format.name();
        let (folder, disk, console) = (self.folder.display(), self.disk.display(), self.console.display());
        format!(
            "<domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
\t<name>{name}</name>
\t<title>test</title>
\t<uuid>{uuid}</uuid>
\t<vcpu><![CDATA[1]]></vcpu>
\t<memory>{memory}</memory>
\t<os>
\t\t<type arch='x86_64' machine='q35'>hvm</type>
\t\t<bios useserial='yes'/>
\t</os>
\t<devices>
\t\t<emulator><![CDATA[/usr/bin/qemu-system-x86_64]]></emulator>
\t\t<disk type='file' device='disk'>
\t\t\t<source file='{disk}'/>
\t\t\t<target dev='vda' bus='virtio'/>
\t\t\t<boot order='1'/>
\t\t\t<driver name='qemu' type='{format}' discard='unmap'/>
\t\t</disk>
\t\t<serial type='file'>
\t\t\t<source path='{console}' append='on'/>
\t\t</serial>
\t</devices>
\t<features>
\t\t<acpi/>
\t</features>
\t<metadata>
\t\t<one:vm xmlns:one=\"http://opennebula.org/xmlns/libvirt/1.0\">
\t\t\t<one:system_datastore><![CDATA[{folder}]]></one:system_datastore>
\t\t\t<one:name><![CDATA[test]]></one:name>
\t\t</one:vm>
\t</metadata>
</domain>
"
        )
    }

    /// How often the guest has come up so far.
    pub fn starts(&self) -> io::Result<usize> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.console)?).matches("GUEST UP").count())
    }

    /// Waits until the guest has come up this many times. Before that it does not hear the power button.
    pub fn wait_up(&self, times: usize) -> io::Result<()> {
        until(&format!("start {times} of {}", self.name), || Ok((self.starts()? >= times).then_some(())))
    }

    /// Whether `/dev/kvm` can be used here.
    pub fn kvm_usable() -> bool {
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
    }
}

/// Writes a raw disk of 1 MiB that boots the guest.
pub fn guest_disk(path: &Path) -> io::Result<()> {
    std::fs::write(path, BOOT_SECTOR)?;
    std::fs::OpenOptions::new().write(true).open(path)?.set_len(DISK_BYTES)
}

//! Formats of disk images, and their first bytes.

/// A format, as far as it is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// sectors, nothing else
    Raw,
    /// QEMU's
    Qcow2,
    /// VirtualBox's
    Vdi,
    /// Virtual PC's; QEMU calls it so, others VHD
    Vpc,
    /// Hyper-V's
    Vhdx,
    /// an encrypted disk
    Luks,
    /// recognized, but never opened: these may name further files in ways of their own
    Foreign(&'static str),
}

impl Format {
    /// By the first bytes; raw where they are nobody's.
    pub fn probe(head: &[u8]) -> Self {
        let version = head.get(4..8);
        let known: [(&[u8], Self); 11] = [
            (b"KDMV", Self::Foreign("vmdk")),
            (b"COWD", Self::Foreign("vmdk")),
            (b"# Disk DescriptorFile", Self::Foreign("vmdk")),
            (b"QED\0", Self::Foreign("qed")),
            (b"WithoutFreeSpace", Self::Foreign("parallels")),
            (b"WithouFreSpacExt", Self::Foreign("parallels")),
            (b"conectix", Self::Vpc),
            (b"vhdxfile", Self::Vhdx),
            (b"LUKS\xba\xbe", Self::Luks),
            (b"Bochs Virtual HD Image", Self::Foreign("bochs")),
            (b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop", Self::Foreign("cloop")),
        ];
        if head.starts_with(b"QFI\xfb") {
            return match version {
                Some([0, 0, 0, 2 | 3]) => Self::Qcow2,
                _ => Self::Foreign("qcow"),
            };
        }
        if head.get(64..68) == Some(&[0x7f, 0x10, 0xda, 0xbe]) {
            return Self::Vdi;
        }
        known.iter().find(|(magic, _)| head.starts_with(magic)).map_or(Self::Raw, |(_, format)| *format)
    }

    /// The format of this name, where images of it may be read.
    pub fn readable(name: &str) -> Option<Self> {
        [Self::Raw, Self::Qcow2, Self::Vdi, Self::Vpc, Self::Vhdx].into_iter().find(|format| format.name() == name)
    }

    /// The format of this name, where images of it may be made.
    pub fn writable(name: &str) -> Option<Self> {
        [Self::Raw, Self::Qcow2].into_iter().find(|format| format.name() == name)
    }

    /// QEMU's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vdi => "vdi",
            Self::Vpc => "vpc",
            Self::Vhdx => "vhdx",
            Self::Luks => "luks",
            Self::Foreign(name) => name,
        }
    }
}

//! The header of a qcow2 image (<https://www.qemu.org/docs/master/interop/qcow2.html>).

use super::Image;

const MAGIC: [u8; 4] = *b"QFI\xfb";
/// Bytes of a header of version 3 without extensions.
const LENGTH: usize = 104;

/// What a header says, where the bytes begin with one.
pub(super) fn read(content: &[u8]) -> Option<Image> {
    if content.get(..4)? != MAGIC {
        return None;
    }
    let offset = usize::try_from(long(content, 8)?).ok()?;
    let length = usize::try_from(word(content, 16)?).ok()?;
    // qemu's own limit.
    let backing = match offset {
        0 => None,
        _ if length > 1023 => return None,
        _ => Some(String::from_utf8_lossy(content.get(offset..offset.checked_add(length)?)?).into_owned()),
    };
    let image = Image { format: "qcow2".into(), virtual_size: long(content, 24)?, ..Image::default() };
    Some(Image { backing_file: backing, ..image })
}

/// A header of an image without backing file.
pub(super) fn write(virtual_size: u64) -> Vec<u8> {
    let mut header = vec![0; LENGTH];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&3u32.to_be_bytes());
    // Clusters of 64 KiB.
    header[20..24].copy_from_slice(&16u32.to_be_bytes());
    header[24..32].copy_from_slice(&virtual_size.to_be_bytes());
    // Reference counts of 16 bits.
    header[96..100].copy_from_slice(&4u32.to_be_bytes());
    header[100..104].copy_from_slice(&(LENGTH as u32).to_be_bytes());
    header
}

fn word(content: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(content.get(at..at + 4)?.try_into().ok()?))
}

fn long(content: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(content.get(at..at + 8)?.try_into().ok()?))
}

//! Images for tests, by `qemu-img` and by hand.

use std::path::Path;
use std::process::Command;

use super::Sandbox;

pub fn qemu_img(folder: &Path, arguments: &[&str]) {
    let run = || Command::new("qemu-img").args(arguments).current_dir(folder).output();
    let mut output = run().expect("qemu-img is needed (package qemu-utils)");
    // It measures the processor before it encrypts, and gives up where others use it.
    let busy = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).contains("accurate CPU usage");
    for _ in 0..100 {
        if !busy(&output) {
            break;
        }
        output = run().unwrap();
    }
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An image on top of one that need not be there.
pub fn overlay(world: &Sandbox, name: &str, backing: &str, format: &str) {
    qemu_img(&world.path, &["create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", format, name, "8M"]);
}

/// A qcow2 image of version 3 with this backing file and these header extensions.
pub fn header(backing: &[u8], extensions: &[(u32, &[u8])], features: u64) -> Vec<u8> {
    let mut head = vec![0; 104];
    head[..4].copy_from_slice(b"QFI\xfb");
    head[4..8].copy_from_slice(&3u32.to_be_bytes());
    head[20..24].copy_from_slice(&16u32.to_be_bytes());
    head[24..32].copy_from_slice(&(8u64 << 20).to_be_bytes());
    head[72..80].copy_from_slice(&features.to_be_bytes());
    head[96..100].copy_from_slice(&4u32.to_be_bytes());
    head[100..104].copy_from_slice(&104u32.to_be_bytes());
    for (kind, content) in extensions {
        head.extend_from_slice(&kind.to_be_bytes());
        head.extend_from_slice(&(content.len() as u32).to_be_bytes());
        head.extend_from_slice(content);
        head.resize(head.len().next_multiple_of(8), 0);
    }
    head.extend_from_slice(&[0; 8]);
    if !backing.is_empty() {
        let offset = head.len() as u64;
        head[8..16].copy_from_slice(&offset.to_be_bytes());
        head[16..20].copy_from_slice(&(backing.len() as u32).to_be_bytes());
        head.extend_from_slice(backing);
    }
    head.resize(1 << 16, 0);
    head
}

/// The header extension that says the backing file is raw.
pub const RAW_BACKING: (u32, &[u8]) = (0xe279_2aca, b"raw");

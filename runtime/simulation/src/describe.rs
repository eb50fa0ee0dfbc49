//! Effects for people: one line each.

mod network;
mod openvswitch;

use remotes_effect::libvirt::Scope;
use remotes_effect::text::{one_line, shortened};
use remotes_effect::types::{Node, Place};
use remotes_effect::{Effect, clock, configuration, filesystem, image, libvirt, locks, log, tools, transfer};
use roxmltree::Document;

use crate::libvirt::{Definition, count_disks};

/// Longest argument that is shown whole, in bytes.
const LONGEST: usize = 200;

/// One line without control characters: `filesystem.write /path 3.1 KiB mode 0644`.
pub fn describe(effect: &Effect) -> String {
    let what = match effect {
        Effect::Clock(effect) => of_clock(effect),
        Effect::Log(log::Effect::Write { level, message }) => {
            format!("{} {}", format!("{level:?}").to_lowercase(), shown(message))
        }
        Effect::Configuration(configuration::Effect::Get { key }) => shown(key),
        Effect::Configuration(configuration::Effect::Keys { prefix }) => format!("{}*", shown(prefix)),
        Effect::Filesystem(effect) => of_filesystem(effect),
        Effect::Image(effect) => of_image(effect),
        Effect::Transfer(transfer::Effect::Copy { source, target }) => format!("{} to {}", at(source), at(target)),
        Effect::Tools(tools::Effect::Available { tool, .. }) => shown(tool),
        Effect::Tools(tools::Effect::Run { tool, arguments, stdin, .. }) => of_run(tool, arguments, stdin),
        Effect::Hooks(effect) => network::of_hooks(effect),
        Effect::Locks(locks::Effect::Acquire { name } | locks::Effect::TryAcquire { name }) => shown(name),
        Effect::Iptables(effect) => network::of_iptables(effect),
        Effect::Links(effect) => network::of_links(effect),
        Effect::Openvswitch(effect) => openvswitch::of_switch(effect),
        Effect::Sriov(effect) => openvswitch::of_functions(effect),
        Effect::Tproxy(effect) => network::of_proxies(effect),
        Effect::Libvirt(effect) => of_libvirt(effect),
    };
    let mut line = effect.name().to_owned();
    if !what.is_empty() {
        line.push(' ');
        line.push_str(&what);
    }
    // Of a copy between hosts, both.
    match effect.nodes()[..] {
        [from, to] if from != to => line.push_str(&format!(", from {} to {}", node(from), node(to))),
        [Node::Host(host), ..] => line.push_str(&format!(" on {}", shown(host))),
        _ => {}
    }
    line
}

fn shown(text: &str) -> String {
    one_line(&shortened(text, LONGEST))
}

fn node(node: &Node) -> String {
    match node {
        Node::Here => "here".to_owned(),
        Node::Host(name) => shown(name),
    }
}

fn at(place: &Place) -> String {
    shown(&place.path)
}

/// `512 B`, `3.1 KiB`, `64 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(unit) = (bytes.max(1).ilog2() / 10).checked_sub(1) else { return format!("{bytes} B") };
    let (whole, one) = (bytes >> (10 * (unit + 1)), 1u64 << (10 * (unit + 1)));
    // The rest is less than one, so that ten of it fit.
    let tenth = u128::from(bytes % one) * 10 / u128::from(one);
    let name = UNITS.get(unit as usize).copied().unwrap_or("EiB");
    if tenth == 0 || whole >= 100 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") }
}

fn of_clock(effect: &clock::Effect) -> String {
    match effect {
        clock::Effect::Now {} => String::new(),
        clock::Effect::Sleep { milliseconds } if milliseconds % 1000 == 0 => format!("{} s", milliseconds / 1000),
        clock::Effect::Sleep { milliseconds } => format!("{milliseconds} ms"),
    }
}

fn of_filesystem(effect: &filesystem::Effect) -> String {
    use filesystem::Effect as E;
    match effect {
        E::Stat { at: place } | E::Entries { at: place } | E::Read { at: place } | E::ReadLink { at: place } => {
            at(place)
        }
        E::Write { at: place, content, mode } => {
            format!("{} {} mode {mode:04o}", at(place), size(content.len() as u64))
        }
        E::MakeDirectory { at: place, mode } | E::SetMode { at: place, mode } => {
            format!("{} mode {mode:04o}", at(place))
        }
        E::Link { at: place, target } => format!("{} to {}", at(place), shown(target)),
        E::Rename { source, target } | E::Copy { source, target } => format!("{} to {}", at(source), at(target)),
        E::Remove { at: place, recursive: true } => format!("{} and all below", at(place)),
        E::Remove { at: place, .. } => at(place),
        E::Unpack { at: place, archive } => format!("{} into {}", size(archive.len() as u64), at(place)),
    }
}

fn of_image(effect: &image::Effect) -> String {
    use image::Effect as E;
    match effect {
        E::Inspect { at: place } => at(place),
        E::Create { at: place, format, size: bytes, based_on } => {
            let bytes = bytes.map(|bytes| format!(" {}", size(bytes))).unwrap_or_default();
            let base = based_on.as_ref().map(|base| format!(" on {}", shown(&base.path))).unwrap_or_default();
            format!("{} {}{bytes}{base}", at(place), shown(format))
        }
        E::Convert { source, source_format, target, format } => {
            format!("{} ({}) to {} ({})", at(source), shown(source_format), at(target), shown(format))
        }
    }
}

fn of_run(tool: &str, arguments: &[String], stdin: &[u8]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    let input = if stdin.is_empty() { String::new() } else { format!(" < {}", size(stdin.len() as u64)) };
    let blank = if quoted.is_empty() { "" } else { " " };
    format!("{}{blank}{}{input}", shown(tool), shortened(&quoted.join(" "), 2 * LONGEST))
}

fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    match !argument.is_empty() && argument.chars().all(plain) {
        true => shown(argument),
        false => format!("{:?}", shown(argument)),
    }
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Live => "live",
        Scope::Config => "config",
        Scope::Both => "live and config",
    }
}

fn of_libvirt(effect: &libvirt::Effect) -> String {
    use libvirt::Effect as E;
    match effect {
        E::Create { xml, paused: true, .. } => format!("{} paused", machine(xml)),
        E::Create { xml, .. } | E::Define { xml, .. } => machine(xml),
        E::Domains { .. } => String::new(),
        E::Undefine { domain, .. }
        | E::Find { domain, .. }
        | E::Xml { domain, .. }
        | E::Shutdown { domain, .. }
        | E::Destroy { domain, .. }
        | E::Reboot { domain, .. }
        | E::Reset { domain, .. }
        | E::Suspend { domain, .. }
        | E::Resume { domain, .. }
        | E::WakeUp { domain, .. }
        | E::SyncTime { domain, .. }
        | E::Snapshots { domain, .. }
        | E::SnapshotCurrent { domain, .. }
        | E::AbortJob { domain, .. }
        | E::Freeze { domain, .. }
        | E::Thaw { domain, .. }
        | E::Checkpoints { domain, .. } => shown(domain),
        E::Save { domain, path, .. } => format!("{} to {}", shown(domain), shown(path)),
        E::SavedXml { path, .. } | E::Restore { path, xml: None, .. } => shown(path),
        E::Restore { path, xml: Some(xml), .. } => format!("{} as {}", shown(path), machine(xml)),
        E::AttachDevice { domain, xml, scope: to, .. } | E::DetachDevice { domain, xml, scope: to, .. } => {
            format!("{} {} ({})", shown(domain), device(xml), scope(*to))
        }
        E::UpdateDevice { domain, xml, scope: to, force, .. } => {
            let force = if *force { ", forced" } else { "" };
            format!("{} {} ({}{force})", shown(domain), device(xml), scope(*to))
        }
        E::ResizeBlock { domain, device, bytes, .. } => {
            format!("{} {} to {}", shown(domain), shown(device), size(*bytes))
        }
        E::SetVcpus { domain, count, scope: to, .. } => format!("{} to {count} ({})", shown(domain), scope(*to)),
        E::SetMemory { domain, kib, scope: to, .. } => {
            format!("{} to {} ({})", shown(domain), size(kib.saturating_mul(1024)), scope(*to))
        }
        E::Metadata { domain, uri, .. } => format!("{} {}", shown(domain), shown(uri)),
        E::SetMetadata { domain, uri, scope: to, .. } => format!("{} {} ({})", shown(domain), shown(uri), scope(*to)),
        E::SnapshotCreate { domain, xml, .. } => format!("{} {}", shown(domain), moment(xml)),
        E::SnapshotRedefine { domain, xml, current, .. } => {
            format!("{} {}{}", shown(domain), moment(xml), if *current { " as the current one" } else { "" })
        }
        E::SnapshotXml { domain, snapshot, .. } | E::SnapshotRevert { domain, snapshot, .. } => {
            format!("{} {}", shown(domain), shown(snapshot))
        }
        E::SnapshotDelete { domain, snapshot, metadata_only, .. } => {
            let only = if *metadata_only { " (metadata only)" } else { "" };
            format!("{} {}{only}", shown(domain), shown(snapshot))
        }
        E::UnplugDevice { domain, alias, .. } => format!("{} {}", shown(domain), shown(alias)),
        E::Migrate { domain, how, .. } => {
            let disks =
                if how.disks.is_empty() { String::new() } else { format!(" with {}", shown(&how.disks.join(", "))) };
            format!("{} to {}{disks}", shown(domain), shown(&how.uri))
        }
        E::BlockCopy { domain, disk, target, .. } => {
            format!("{} {} to {} ({})", shown(domain), shown(disk), shown(&target.path), shown(&target.format))
        }
        E::BlockJob { domain, disk, .. } => format!("{} {}", shown(domain), shown(disk)),
        E::EndBlockJob { domain, disk, pivot, .. } => {
            format!("{} {}{}", shown(domain), shown(disk), if *pivot { ", going over to the copy" } else { "" })
        }
        E::CheckpointXml { domain, checkpoint, .. } => format!("{} {}", shown(domain), shown(checkpoint)),
        E::CheckpointCreate { domain, xml, .. } => format!("{} {}", shown(domain), moment(xml)),
        E::CheckpointDelete { domain, checkpoint, metadata_only, .. } => {
            let only = if *metadata_only { " (metadata only)" } else { "" };
            format!("{} {}{only}", shown(domain), shown(checkpoint))
        }
        E::SetBandwidth { domain, interface, .. } => format!("{} {}", shown(domain), shown(interface)),
        E::GuestAgent { domain, command, .. } => format!("{} {}", shown(domain), agent_command(command)),
    }
}

/// `one-5 (1 disk, 64 MiB)`
fn machine(xml: &str) -> String {
    let Ok(definition) = Definition::lenient(xml) else { return unreadable(xml) };
    let disks = count_disks(xml);
    let mut facts = vec![format!("{disks} {}", if disks == 1 { "disk" } else { "disks" })];
    facts.extend(definition.memory.map(|kib| size(kib.saturating_mul(1024))));
    format!("{} ({})", shown(&definition.name), facts.join(", "))
}

/// `disk vdb`, `interface 02:00:0a:32:00:0a`
fn device(xml: &str) -> String {
    let Ok(document) = Document::parse(xml) else { return unreadable(xml) };
    let device = document.root_element();
    let attribute = |element, name| crate::xml::child(device, element).and_then(|it| it.attribute(name));
    let which = attribute("target", "dev").or(attribute("mac", "address")).map(|it| format!(" {}", shown(it)));
    format!("{}{}", shown(device.tag_name().name()), which.unwrap_or_default())
}

fn moment(xml: &str) -> String {
    match Document::parse(xml) {
        Ok(document) => {
            crate::xml::child_text(document.root_element(), "name").map_or("(without name)".into(), |it| shown(&it))
        }
        Err(_) => unreadable(xml),
    }
}

fn unreadable(xml: &str) -> String {
    format!("({} of XML that cannot be read)", size(xml.len() as u64))
}

/// The command's name alone: its arguments may be secret.
fn agent_command(command: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(command).ok();
    let name = value.as_ref().and_then(|value| value.get("execute")).and_then(|name| name.as_str());
    name.map_or_else(|| "(no command)".to_owned(), shown)
}

//! `MIGRATE_OPTIONS` of kvmrc and what the machine's template asks for, as libvirt's parameters.

use std::net::Ipv6Addr;
use std::str::FromStr;

use remotes_sdk::libvirt::Migration;
use remotes_sdk::vm::Action;
use remotes_sdk::{Failure, settings};

/// What this driver decides itself: an option for it would only be in the way.
const DECIDED: [&str; 10] = [
    "suspend",
    "copy-storage-all",
    "copy-storage-inc",
    "copy-storage-synchronous-writes",
    "migrate-disks",
    "persistent",
    "undefinesource",
    "offline",
    "dname",
    "xml",
];

const KNOWN: &str = "--live, --verbose, --change-protection, --unsafe, --compressed, --auto-converge, \
    --auto-converge-initial N, --auto-converge-increment N, --bandwidth N, --parallel, --parallel-connections N, --p2p, \
    --tunnelled, --tls, --postcopy, --abort-on-error, --migrateuri URI, --listen-address ADDRESS";

/// The parameters, without disks.
pub fn read(action: &Action<'_>, destination: &str) -> Result<Migration, Failure> {
    let protocol = settings::text_or("QEMU_PROTOCOL", "qemu+ssh")?;
    let mut how = Migration {
        uri: format!("{protocol}://{}/system", host(destination)?),
        paused: false,
        disks: Vec::new(),
        allow_unsafe: false,
        compressed: false,
        auto_converge: false,
        auto_converge_initial: None,
        auto_converge_increment: None,
        bandwidth: None,
        parallel_connections: None,
        peer_to_peer: false,
        tunnelled: false,
        tls: false,
        post_copy: false,
        abort_on_error: false,
        migrate_uri: None,
        listen_address: None,
    };
    let text = settings::text("MIGRATE_OPTIONS")?.unwrap_or_default();
    operators(&mut how, &text)
        .map_err(|failure| Failure { message: format!("MIGRATE_OPTIONS: {}", failure.message), ..failure })?;
    machines(&mut how, action)?;
    Ok(how)
}

/// A host as it stands in a URI.
fn host(name: &str) -> Result<String, Failure> {
    if name.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{name}]"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain) {
        true => Ok(name.to_owned()),
        false => Err(Failure::invalid(format!("{name:?} is no name or address of a host"))),
    }
}

/// What the operator asks for, in the words of `virsh migrate`.
fn operators(how: &mut Migration, text: &str) -> Result<(), Failure> {
    let words = shell_words::split(text).map_err(|error| Failure::invalid(format!("{error}: {text}")))?;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            return Err(Failure::invalid(format!("{word:?} is no option; known are {KNOWN}")));
        };
        let (name, given) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        };
        let mut value = || {
            let value = given.clone().or_else(|| words.next()).filter(|value| !value.is_empty());
            value.ok_or_else(|| Failure::invalid(format!("--{name} wants a value")))
        };
        match name.as_str() {
            "live" | "verbose" | "change-protection" => {}
            "unsafe" => how.allow_unsafe = true,
            "compressed" => how.compressed = true,
            "auto-converge" => how.auto_converge = true,
            "auto-converge-initial" => {
                (how.auto_converge, how.auto_converge_initial) = (true, Some(number(&name, &value()?)?));
            }
            "auto-converge-increment" => {
                (how.auto_converge, how.auto_converge_increment) = (true, Some(number(&name, &value()?)?));
            }
            "bandwidth" => how.bandwidth = Some(number(&name, &value()?)?),
            // As many as QEMU has by default.
            "parallel" => how.parallel_connections = how.parallel_connections.or(Some(2)),
            "parallel-connections" => how.parallel_connections = Some(number(&name, &value()?)?),
            "p2p" => how.peer_to_peer = true,
            "tunnelled" => how.tunnelled = true,
            "tls" => how.tls = true,
            "postcopy" => how.post_copy = true,
            "abort-on-error" => how.abort_on_error = true,
            "migrateuri" => how.migrate_uri = Some(value()?),
            "listen-address" => how.listen_address = Some(value()?),
            decided if DECIDED.contains(&decided) => {
                return Err(Failure::invalid(format!("--{decided} is the driver's to decide; remove it")));
            }
            _ => return Err(Failure::invalid(format!("--{name} is not known; known are {KNOWN}"))),
        }
    }
    Ok(())
}

/// What the machine's own template asks for.
fn machines(how: &mut Migration, action: &Action<'_>) -> Result<(), Failure> {
    let slower = action.template("FEATURES/MIGRATE_AUTO_CONVERGE").map(str::trim).filter(|text| !text.is_empty());
    if let Some(text) = slower {
        const KEY: &str = "MIGRATE_AUTO_CONVERGE";
        // `INITIAL[,INCREMENT]`; what stands behind them means nothing.
        let mut parts = text.split(',').map(str::trim);
        how.auto_converge = true;
        how.auto_converge_initial = parts.next().map(|initial| number(KEY, initial)).transpose()?;
        let increment = parts.next().filter(|increment| !increment.is_empty());
        how.auto_converge_increment = increment.map(|increment| number(KEY, increment)).transpose()?;
    }
    if action.template("FEATURES/MIGRATE_COMPRESSED").is_some_and(|it| it.trim().eq_ignore_ascii_case("yes")) {
        how.compressed = true;
    }
    Ok(())
}

fn number<T: FromStr>(key: &str, text: &str) -> Result<T, Failure> {
    text.trim().parse().map_err(|_| Failure::invalid(format!("{key}: {text:?} is no whole number")))
}

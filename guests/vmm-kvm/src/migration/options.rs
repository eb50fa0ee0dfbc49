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
    --tunnelled, --tls, --postcopy, --postcopy-bandwidth N, --timeout N, --timeout-suspend, --timeout-postcopy, \
    --abort-on-error, --comp-methods METHOD, --migrateuri URI, --listen-address ADDRESS, --disks-port N";

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
        disks_port: None,
        compression: None,
        post_copy_bandwidth: None,
        suspend_after: None,
        post_copy_after: None,
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
    let (mut timeout, mut follows) = (None, false);
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            return Err(Failure::invalid(format!("{word:?} is no option; known are {KNOWN}")));
        };
        let (name, given) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        };
        if let Some(switch) = switch(how, &name) {
            if given.is_some() {
                return Err(Failure::invalid(format!("--{name} takes no value")));
            }
            *switch = true;
            continue;
        }
        let mut value = || {
            let value = given.clone().or_else(|| words.next()).filter(|value| !value.is_empty());
            value.ok_or_else(|| Failure::invalid(format!("--{name} wants a value")))
        };
        match name.as_str() {
            "live" | "verbose" | "change-protection" | "timeout-suspend" => {}
            "auto-converge-initial" => {
                (how.auto_converge, how.auto_converge_initial) = (true, Some(number(&name, &value()?)?));
            }
            "auto-converge-increment" => {
                (how.auto_converge, how.auto_converge_increment) = (true, Some(number(&name, &value()?)?));
            }
            "bandwidth" => how.bandwidth = Some(number(&name, &value()?)?),
            "postcopy-bandwidth" => how.post_copy_bandwidth = Some(number(&name, &value()?)?),
            // As many as QEMU has by default.
            "parallel" => how.parallel_connections = how.parallel_connections.or(Some(2)),
            "parallel-connections" => how.parallel_connections = Some(number(&name, &value()?)?),
            "timeout" => timeout = Some(number(&name, &value()?)?),
            "timeout-postcopy" => follows = true,
            "comp-methods" => (how.compressed, how.compression) = (true, Some(method(&value()?)?)),
            "migrateuri" => how.migrate_uri = Some(value()?),
            "listen-address" => how.listen_address = Some(value()?),
            "disks-port" => how.disks_port = Some(number::<u16>(&name, &value()?)?.into()),
            decided if DECIDED.contains(&decided) => {
                return Err(Failure::invalid(format!("--{decided} is the driver's to decide; remove it")));
            }
            _ => return Err(Failure::invalid(format!("--{name} is not known; known are {KNOWN}"))),
        }
    }
    match (follows, how.post_copy) {
        (true, false) => return Err(Failure::invalid("--timeout-postcopy wants --postcopy")),
        (true, true) => how.post_copy_after = timeout,
        (false, _) => how.suspend_after = timeout,
    }
    Ok(())
}

/// What an option without a value switches on.
fn switch<'a>(how: &'a mut Migration, name: &str) -> Option<&'a mut bool> {
    Some(match name {
        "unsafe" => &mut how.allow_unsafe,
        "compressed" => &mut how.compressed,
        "auto-converge" => &mut how.auto_converge,
        "p2p" => &mut how.peer_to_peer,
        "tunnelled" => &mut how.tunnelled,
        "tls" => &mut how.tls,
        "postcopy" => &mut how.post_copy,
        "abort-on-error" => &mut how.abort_on_error,
        _ => return None,
    })
}

/// One method of compression, in libvirt's words.
fn method(text: &str) -> Result<String, Failure> {
    match text.chars().all(|c| c.is_ascii_alphanumeric()) {
        true => Ok(text.to_owned()),
        false => Err(Failure::invalid(format!("comp-methods: {text:?} is not the name of one method"))),
    }
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

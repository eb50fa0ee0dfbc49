//! Diagnostics for whoever runs the runtime: to the system's journal or a file, never to standard output
//! or standard error, which belong to oned.
//!
//! `REMOTES_LOG` sets the filter (`debug`, `warn,remotes_host=trace`; default `warn`), `REMOTES_LOG_FILE`
//! a file to append to in place of the journal.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Mutex;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts diagnostics where there is a place for them. What cannot be started is left out: an action does
/// not fail for want of a log.
pub fn start() {
    let filter = match std::env::var("REMOTES_LOG") {
        Ok(text) => text.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::WARN)),
        Err(_) => Targets::new().with_default(LevelFilter::WARN),
    };
    let registry = tracing_subscriber::registry().with(filter);
    if let Some(path) = std::env::var_os("REMOTES_LOG_FILE").filter(|path| !path.is_empty()) {
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        if let Ok(file) = opened {
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
            let _ = registry.with(layer).try_init();
        }
    } else if let Ok(layer) = tracing_journald::layer() {
        let _ = registry.with(layer.with_syslog_identifier("remotes".to_owned())).try_init();
    }
}

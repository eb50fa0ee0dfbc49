//! Memory compaction of a host, before a virtual machine needs large pages or after one has gone.

use remotes_sdk::{Explain, Node, here, settings};

use crate::tool;

/// As `CLEANUP_MEMORY_ON_START` has it. Never fatal.
pub fn compact_on_start() {
    compact(&here(), "CLEANUP_MEMORY_ON_START");
}

/// As `CLEANUP_MEMORY_ON_STOP` has it. Never fatal.
pub fn compact_on_stop() {
    compact(&here(), "CLEANUP_MEMORY_ON_STOP");
}

/// As this key has it, on any machine. Never fatal.
pub fn compact(on: &Node, key: &str) {
    let arguments = ["vm.drop_caches=3", "vm.compact_memory=1"].map(str::to_owned);
    // sudo permits exactly this line.
    let compact = || match settings::yes(key)? {
        true => tool::run_on(on, "sysctl", &arguments, "").map(drop),
        false => Ok(()),
    };
    compact().or_warn("memory is not compacted");
}

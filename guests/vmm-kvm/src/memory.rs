//! Memory compaction of the host, before a virtual machine needs large pages or after one has gone.

use remotes_sdk::{Explain, settings};

use crate::tool;

/// As `CLEANUP_MEMORY_ON_START` has it. Never fatal.
pub fn compact_on_start() {
    compact("CLEANUP_MEMORY_ON_START");
}

/// As `CLEANUP_MEMORY_ON_STOP` has it. Never fatal.
pub fn compact_on_stop() {
    compact("CLEANUP_MEMORY_ON_STOP");
}

fn compact(key: &str) {
    let arguments = ["vm.drop_caches=3", "vm.compact_memory=1"].map(str::to_owned);
    // sudo permits exactly this line.
    let compact = || match settings::yes(key)? {
        true => tool::run("sysctl", &arguments, "").map(drop),
        false => Ok(()),
    };
    compact().or_warn("memory is not compacted");
}

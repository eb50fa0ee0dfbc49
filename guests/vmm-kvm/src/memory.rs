//! Memory compaction of a host, before a virtual machine needs large pages or after one has gone.

use remotes_sdk::{Explain, Failure, Node, here, settings};

use crate::tool;

/// As `CLEANUP_MEMORY_ON_START` has it. Never fatal.
pub fn compact_on_start() {
    compact_before_arrival(&here());
}

/// The same on any machine. Never fatal.
pub fn compact_before_arrival(on: &Node) {
    compact(on, settings::yes("CLEANUP_MEMORY_ON_START"));
}

/// As `CLEANUP_MEMORY_ON_STOP` has it. Never fatal.
pub fn compact_on_stop() {
    compact(&here(), settings::yes("CLEANUP_MEMORY_ON_STOP"));
}

/// The same on the host that a machine has left; the stock script of a migration takes any letters. Never fatal.
pub fn compact_on_leave(on: &Node) {
    compact(on, settings::yes_in_any_case("CLEANUP_MEMORY_ON_STOP"));
}

fn compact(on: &Node, wanted: Result<bool, Failure>) {
    let arguments = ["vm.drop_caches=3", "vm.compact_memory=1"].map(str::to_owned);
    // sudo permits exactly this line.
    let compact = || match wanted? {
        true => tool::run_on(on, "sysctl", &arguments, "").map(drop),
        false => Ok(()),
    };
    compact().or_warn("memory is not compacted");
}

//! Hands over a million empty strings: nothing here, 24 MB at the host.

use remotes_sdk::{Failure, here, tools};

containment_guests::reboot!(hand_over);

fn hand_over(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    tools::run(&here(), "echo", &vec![String::new(); 1_000_000], &[]).map(drop)
}

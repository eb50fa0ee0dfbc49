//! Calls itself as often as it is told, or until there is no stack left.

use std::hint::black_box;

use remotes_sdk::Failure;

containment_guests::reboot!(start);

fn start(_: &str, _: &str, times: &str) -> Result<(), Failure> {
    deeper(times.parse().unwrap_or(u64::MAX));
    Ok(())
}

fn deeper(times: u64) -> u64 {
    match black_box(times) {
        0 => 0,
        times => black_box(times) + deeper(times - 1) + black_box(1),
    }
}

//! Calls itself until there is no stack left.

use std::hint::black_box;

use remotes_sdk::Failure;

containment_guests::reboot!(start);

fn start(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    deeper(black_box(0));
    Ok(())
}

#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    black_box(depth) + deeper(black_box(depth + 1)) + black_box(1)
}

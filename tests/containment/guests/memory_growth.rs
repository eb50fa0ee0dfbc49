//! Takes memory, a MiB at a time, and gives nothing back.

use remotes_sdk::Failure;

containment_guests::reboot!(grow);

fn grow(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    loop {
        std::mem::forget(std::hint::black_box(vec![1_u8; 1024 * 1024]));
    }
}

//! Does not come back.

use remotes_sdk::Failure;

containment_guests::reboot!(spin);

fn spin(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    loop {
        std::hint::spin_loop();
    }
}

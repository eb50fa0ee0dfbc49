//! Makes cheap calls without end.

use remotes_sdk::{Failure, clock};

containment_guests::reboot!(flood);

fn flood(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    loop {
        std::hint::black_box(clock::now());
    }
}

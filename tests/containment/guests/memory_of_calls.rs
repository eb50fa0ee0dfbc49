//! Keeps what it sees in one call for the next.

use std::cell::RefCell;

use remotes_sdk::Failure;
use remotes_sdk::log::{Level, write};

containment_guests::reboot!(remember);

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn remember(id: &str, _: &str, _: &str) -> Result<(), Failure> {
    SEEN.with_borrow_mut(|seen| {
        seen.push(id.to_owned());
        write(Level::Info, &format!("seen: {}", seen.join(" ")));
    });
    Ok(())
}

//! Takes locks that others wait for, or that are files elsewhere.

use containment_guests::tell;
use remotes_sdk::{Failure, locks};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for name in ["vlantagdriver", "remotes-filter", "", "../../etc/x", "a/b", "a b", "x\n", "..", &"a".repeat(65)] {
        tell(name, locks::acquire(name));
        tell(name, locks::try_acquire(name).map(drop));
    }
    Ok(())
}

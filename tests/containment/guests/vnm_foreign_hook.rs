//! Runs programs that are no hooks of its actions.

use containment_guests::tell;
use remotes_sdk::{Failure, hooks};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for action in ["clean", "../kvm/deploy", "/etc", "..", "", "pre.d/../../../../bin"] {
        tell(action, hooks::entries(action));
        tell(action, hooks::run(action, "10-a", &[], b""));
    }
    for name in ["../../../bin/sh", "/bin/sh", "..", ".hidden", "", "a/b", "x\ny"] {
        tell(name, hooks::run("pre", name, &["-c".into(), "id".into()], b""));
    }
    tell("an argument", hooks::run("pre", "10-a", &["a\0b".into()], b""));
    Ok(())
}

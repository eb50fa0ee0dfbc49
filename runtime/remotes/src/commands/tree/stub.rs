//! The executables that oned finds at the usual paths.
//!
//! A stub is a small text, since `onehost sync` turns links into copies of their targets. It finds the
//! runtime from its own place, because the same files serve a front-end and hosts at different paths, and
//! through a link if it was started by one. Measured: 0.7 ms with dash as `/bin/sh`, above the program itself.

use remotes_action::tree::Identity;

/// By its second line a stub is known as ours, whichever version laid it.
const MARK: &str = "# Installed by `remotes tree install`; `remotes tree remove` takes it away.";

/// The text of an action's stub.
pub fn text(identity: &Identity) -> String {
    format!(
        "#!/bin/sh\n\
         {MARK}\n\
         a=$0; [ -L \"$a\" ] && a=$(readlink -f -- \"$a\")\n\
         case $a in */*) ;; *) a=./$a ;; esac\n\
         exec \"${{a%/*}}/../../bin/remotes-action\" {identity} \"$@\"\n"
    )
}

/// Whether a file's content is the stub that this version lays for the action.
pub fn is_stub(content: &[u8], identity: &Identity) -> bool {
    content == text(identity).as_bytes()
}

/// Whether it is a stub of any version.
pub fn is_ours(content: &[u8]) -> bool {
    content.split(|byte| *byte == b'\n').nth(1) == Some(MARK.as_bytes())
}

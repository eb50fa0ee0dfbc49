//! The executables that oned finds at the usual paths.
//!
//! A stub is a small text, since `onehost sync` turns links into copies of their targets. It finds the
//! runtime from its own place, because the same files serve a front-end and hosts at different paths, and
//! through a link if it was started by one. Measured: 0.7 ms with dash as `/bin/sh`, above the program itself.

use remotes_action::tree::Identity;

/// The text of an action's stub.
pub fn text(identity: &Identity) -> String {
    format!(
        "#!/bin/sh\n\
         # Installed by `remotes tree install`; `remotes tree remove` takes it away.\n\
         a=$0; [ -L \"$a\" ] && a=$(readlink -f -- \"$a\")\n\
         case $a in */*) ;; *) a=./$a ;; esac\n\
         exec \"${{a%/*}}/../../bin/remotes-action\" {identity} \"$@\"\n"
    )
}

/// Whether a file's content is a stub of ours for this action.
pub fn is_stub(content: &[u8], identity: &Identity) -> bool {
    content == text(identity).as_bytes()
}

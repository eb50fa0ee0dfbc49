//! The executables that oned finds at the usual paths.
//!
//! A stub is a small text, since `onehost sync` turns links into copies of their targets. It finds the
//! runtime from its own place, because the same files serve a front-end and hosts at different paths, and
//! through a link if it was started by one. Measured: 0.7 ms with dash as `/bin/sh`, above the program itself.

use remotes_action::tree::{Identity, STUB};

/// The text of an action's stub. An empty program is what a full disk leaves of a copy: a shell would take it for a
/// script that succeeds. Where there is none because the drivers are being taken out, what stands in the stub's place by
/// now is the action.
pub fn text(identity: &Identity) -> String {
    format!(
        "#!/bin/sh\n\
         {STUB}\n\
         a=$0; [ -L \"$a\" ] && a=$(readlink -f -- \"$a\")\n\
         case $a in */*) ;; *) a=./$a ;; esac\n\
         r=${{a%/*}}/../../bin/remotes-action\n\
         [ -s \"$r\" ] || case $(cat \"$a\") in\n\
         *remotes-action*) echo \"{action}: $r is missing or empty; copy the tree to this host again\" >&2; exit 1 ;;\n\
         *) exec \"$a\" \"$@\" ;;\n\
         esac\n\
         exec \"$r\" {identity} \"$@\"\n",
        action = identity.action
    )
}

/// Whether a file's content is the stub that this version lays for the action.
pub fn is_stub(content: &[u8], identity: &Identity) -> bool {
    content == text(identity).as_bytes()
}

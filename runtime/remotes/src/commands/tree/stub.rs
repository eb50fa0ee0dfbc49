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

/// Whether a stub, of whichever version, starts another action than this: all of them name theirs as a word of its own.
/// One that is damaged and names none starts none.
pub fn is_anothers(content: &[u8], identity: &Identity) -> bool {
    let words = content.split(u8::is_ascii_whitespace).filter_map(|word| std::str::from_utf8(word).ok());
    let names: Vec<Identity> = words.filter_map(|word| word.parse().ok()).collect();
    !names.is_empty() && !names.contains(identity)
}

/// Whether a file's content is the stub that this version lays for the action.
pub fn is_stub(content: &[u8], identity: &Identity) -> bool {
    content == text(identity).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_actions_stub_is_known_in_every_version() {
        let identity = |name: &str| name.parse::<Identity>().unwrap();
        let (own, other) = (identity("vmm/kvm/deploy"), identity("vmm/kvm2/deploy"));
        let first = format!("#!/bin/sh\n{STUB}\nexec \"${{a%/*}}/../../bin/remotes-action\" {own} \"$@\"\n");
        for stub in [text(&own), first] {
            assert!(!is_anothers(stub.as_bytes(), &own) && is_anothers(stub.as_bytes(), &other), "{stub}");
        }
        let damaged = format!("#!/bin/sh\n{STUB}\nexec");
        assert!(!is_anothers(damaged.as_bytes(), &own));
    }
}

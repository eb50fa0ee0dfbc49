//! Whom files belong to that decide what is run, and with which rights.

/// What the message of a refusal expects instead.
pub const EXPECTED: &str = "owned by root or the user running this, writable by nobody else";

/// Why others than root and `user` can have written a file or folder of this owner and mode; none where they cannot.
pub fn open_to_others(owner: u32, mode: u32, user: u32) -> Option<String> {
    match owner {
        _ if owner != user && owner != 0 && user == 0 => {
            Some(format!("it belongs to uid {owner}, as whom it can be run: sudo -u '#{owner}' …"))
        }
        _ if owner != user && owner != 0 => Some(format!("it belongs to uid {owner}")),
        _ if mode & 0o022 != 0 => Some(format!("its mode is {:o}", mode & 0o7777)),
        _ => None,
    }
}

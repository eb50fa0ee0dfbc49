//! Connections, as far as they may be lost.

/// What may be lost.
pub(crate) trait Link {
    /// Whether it is open.
    fn alive(&self) -> bool;
    /// Whether the other end answers a question.
    fn answers(&self) -> bool;
}

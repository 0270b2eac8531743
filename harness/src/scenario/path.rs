//! What a path between two endpoints is like.

use std::time::Duration;

use policy::Name;

/// What a path is to be like, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathChange {
    /// One end.
    pub a: Name,
    /// The other.
    pub b: Name,
    /// The bits a second that it carries; as many as the machine does, where that is not said.
    pub rate: Option<u64>,
    /// The packets of a hundred that it loses.
    pub loss: u8,
    /// How long each packet takes.
    pub delay: Duration,
}

impl PathChange {
    /// Whether it makes the path what it was at first.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.rate.is_none() && self.loss == 0 && self.delay.is_zero()
    }
}

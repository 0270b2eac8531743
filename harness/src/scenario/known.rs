//! What may stand beside an expectation: that it is known to fail, and what it is called and whose it is.

use policy::Timestamp;
use reports::known::Tag;

/// What stands beside an expectation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// It is known to fail.
    pub known: Option<KnownFailure>,
    /// What it is called, and whose it is.
    pub tag: Tag,
}

/// That an expectation fails, and until when that may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFailure {
    /// The ticket.
    pub ticket: String,
    /// The last day, as written.
    pub until: String,
    /// Its last instant.
    pub ends: Timestamp,
}

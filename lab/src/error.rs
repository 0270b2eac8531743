//! What can go wrong while wires are laid: fragments that read after "cannot".

use std::io;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel refused.
    #[error("{doing}: {source}")]
    Kernel {
        /// What was being done.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No station has this name.
    #[error("find a station named {0:?}")]
    NoStation(String),
    /// No host has this name.
    #[error("find a host named {0:?}")]
    NoHost(String),
    /// Two stations, or two hosts, would have one name.
    #[error("name two things {0:?}")]
    Duplicate(String),
    /// The station has a second interface already, or has none, or cannot move with it.
    #[error("find the second interface of {0:?} as it should be")]
    Second(String),
    /// Frames that wait in a relay would pass a guard in the relay's name.
    #[error("delay what goes to or from {0:?}: the hosts guard their ports")]
    Guarded(String),
    /// No cut has this number: it was healed before.
    #[error("find cut {0}")]
    NoCut(u64),
    /// A thread of the lab's own is gone.
    #[error("reach the lab's {0} thread")]
    ThreadGone(&'static str),
    /// The packet filter refused a partition.
    #[error("cut a path: {0}")]
    Filter(String),
    /// More hosts or stations than the lab has addresses for.
    #[error("hold so many {0}")]
    TooMany(&'static str),
}

/// The lab's result.
pub type Result<T> = std::result::Result<T, LabError>;

/// Adds what was being done to the kernel's answer.
pub(crate) trait Doing<T> {
    /// Names the deed.
    fn doing(self, what: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|error| LabError::Kernel { doing: what.into(), source: error.into() })
    }
}

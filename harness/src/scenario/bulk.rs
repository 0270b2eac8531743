//! Bulk transfers, and how fast they are to be.

use super::Stream;

/// Bytes over one TCP connection, all of which must come through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkTransfer {
    /// Its flow.
    pub stream: Stream,
    /// How many bytes.
    pub bytes: u64,
    /// The least that it must carry, in bits a second.
    pub least: Option<u64>,
    /// The most that it may carry, in bits a second.
    pub most: Option<u64>,
}

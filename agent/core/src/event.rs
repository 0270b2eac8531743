//! What the kernel half tells the core: one log message, as the kernel wrote it.

pub use wire::Direction;

/// Why the kernel logged a packet: the prefix of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// `allow`: the first packet of an allowed flow. The mark is the deciding word.
    Allow,
    /// `deny`: a packet of a flow that is denied or rejected. The mark is the deciding word.
    Deny,
    /// `was`: the first of a cut's two messages. The mark is what had admitted the flow.
    Was,
    /// `cut`: the second of a cut's two messages. The mark is the deciding word.
    Cut,
    /// `invalid`: a packet of no known flow.
    Invalid,
    /// `barrier`: a sentinel; flush all records.
    Barrier,
}

impl LogKind {
    /// The kind that a log message's prefix names.
    #[must_use]
    pub fn of_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            "was" => Some(Self::Was),
            "cut" => Some(Self::Cut),
            "invalid" => Some(Self::Invalid),
            "barrier" => Some(Self::Barrier),
            _ => None,
        }
    }
}

/// One log message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Why it was logged.
    pub kind: LogKind,
    /// At which hook: [`Direction::In`] for input, [`Direction::Out`] for output.
    pub direction: Direction,
    /// Bits 20–30 the epoch, bits 0–19 the word; bit 31 (cut) may be set.
    pub mark: u32,
    /// The packet from its IP header on, as far as it was copied.
    pub packet: Vec<u8>,
}

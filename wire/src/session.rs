//! The messages of one agent's session.

use std::net::IpAddr;
use std::time::Duration;

use crate::{Ack, Hello, Record, SealedView, View};

/// The most records that one message may carry.
pub const MAX_BATCH: usize = 1000;
/// The most addresses that an agent may name at once.
pub const MAX_ADDRESSES: usize = 1024;
/// The most bytes of one message of an agent: a whole batch of records, each as long as it may be.
pub const MAX_FROM_AGENT: usize = 6 * 1024 * 1024;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromAgent {
    /// Its first word.
    Hello(Hello),
    /// A generation is in force, or was refused.
    Ack(Ack),
    /// Records of one boot in ascending order, at most [`MAX_BATCH`].
    Records(Vec<Record>),
    /// It lives.
    Heartbeat,
    /// The addresses that it observes have changed: all of them, at most [`MAX_ADDRESSES`]. Since protocol 2.
    Addresses(Vec<IpAddr>),
    /// Its VM was suspended locally, or that has ended. Since protocol 2.
    Suspension(Suspension),
}

/// A local suspension: the policy's rules only record meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// How long it still lasts; zero: it has ended.
    pub left: Duration,
    /// Who asked for it, in the agent's words.
    pub by: String,
}

/// What a center says to one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromCenter {
    /// Its first word: the hello was accepted.
    Welcome {
        /// The protocol version that both speak from here on.
        protocol: u32,
        /// The center's time, in milliseconds since the Unix epoch.
        now: i64,
        /// How often both are to say that they live.
        heartbeat: Duration,
    },
    /// The whole view of the newest generation; older ones that were not sent are skipped.
    View(Box<View>),
    /// The same under seal, for agents that take it ([`crate::SEALS`]).
    Sealed(Box<SealedView>),
    /// All records of a boot that were sent, up to a sequence number, are stored.
    Stored {
        /// The boot.
        boot: String,
        /// The last sequence number.
        up_to: u64,
    },
    /// It lives.
    Heartbeat {
        /// The center's time, in milliseconds since the Unix epoch.
        now: i64,
    },
    /// The session is refused and ends.
    Refused {
        /// Why.
        reason: String,
    },
}

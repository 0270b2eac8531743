//! The record: one versioned form for flows and interceptions (semantics 33).

use std::net::IpAddr;

use policy::{End, Family, Protocol, Verdict, Would};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::{DecodeError, Fault, proto};

/// The most bytes of one text of a record: room for the longest name.
pub const MAX_TEXT: usize = 512;
/// The most payload bytes of a record.
pub const MAX_PAYLOAD: usize = 32;

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The first packet of an allowed flow.
    Allow,
    /// An interception of a new flow.
    Deny,
    /// The first forbidden packet of a living flow.
    Cut,
    /// A packet of no known flow (`eastwest/invalid`), or a total of packets that no rule saw (`eastwest/fragment`,
    /// `eastwest/table-full`).
    Invalid,
    /// A sentinel: everything recorded before it has been sent.
    Barrier,
    /// Records that are lost for good: `packets` of them.
    Gap,
    /// Somebody else changed the kernel's tables (`eastwest/tamper`): what, stands in `detail`; `packets` counts changes.
    Tamper,
    /// What a detector found: `packets` is the number that it counted, `detail` the evidence. It is about no single
    /// flow, so its ports are 0.
    Alert,
    /// A storm: `packets` records like this one, told as one. `detail` says from when to when, and which ports.
    Aggregated,
    /// What the kernel's counter of this rule has in excess of its records: packets that were judged and not logged.
    Suppressed,
}

/// Which way the packet crossed the VM's edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Into the VM.
    In,
    /// Out of the VM.
    Out,
}

/// What makes a record unique: a center stores each key once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// The VM whose agent made it, as the center knows it by certificate.
    pub vm: String,
    /// Which life of the agent's state folder (a random number, hex).
    pub boot: String,
    /// Counted up by one from 1 within a boot; a hole is a loss.
    pub sequence: u64,
}

/// One end of the recorded flow, in the flow's original direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlowEnd {
    /// The VM to which the address was bound in the view that judged; `None` for outside and unknown addresses.
    pub vm: Option<String>,
    /// The address.
    pub address: IpAddr,
    /// The port; 0 where the protocol has none.
    pub port: u16,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its key.
    pub key: RecordKey,
    /// What it tells of.
    pub kind: Kind,
    /// The packet's direction at this VM.
    pub direction: Direction,
    /// The flow's source (original direction).
    pub source: FlowEnd,
    /// The flow's destination (original direction).
    pub destination: FlowEnd,
    /// IPv4 or IPv6.
    pub family: Family,
    /// The flow's protocol.
    pub protocol: Protocol,
    /// ICMP's type, and 0 else.
    pub icmp_type: u8,
    /// ICMP's identifier, and 0 else.
    pub icmp_id: u16,
    /// The packet's TCP sequence number; `None` for other protocols.
    pub tcp_sequence: Option<u32>,
    /// The leading payload bytes of the packet (at most [`MAX_PAYLOAD`]) for protocols without sequence numbers.
    pub payload: Vec<u8>,
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that decided.
    pub rule: String,
    /// The rule that had admitted, for a cut.
    pub admitted_by: Option<String>,
    /// The end at which this agent stands in the flow.
    pub end: End,
    /// What would have been decided at this end with every monitor rule live, where it differs.
    pub would: Option<Would>,
    /// Whether the policy was in monitor mode.
    pub monitor: bool,
    /// The generations for which the epoch of the log word stood when it was read: first.
    pub generation_first: u64,
    /// … and last.
    pub generation_last: u64,
    /// How many packets this record stands for (1, or the size of a gap).
    pub packets: u64,
    /// Free detail: a barrier's nonce in hex, a gap's reason.
    pub detail: String,
    /// When the agent read it, by its own monotonic clock since boot, in microseconds; for people alone.
    pub stamp: u64,
}

impl Record {
    /// Its form on the wire, in which it is kept, too.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        proto::Record::from(self.clone()).encode_to_vec()
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// When they are none.
    pub fn decoded(bytes: &[u8]) -> Result<Self, DecodeError> {
        let garbled = |error: prost::DecodeError| Fault::Garbled(error.to_string());
        let message = proto::Record::decode(bytes);
        message.map_err(|error| DecodeError { field: "record", fault: garbled(error) })?.try_into()
    }
}

//! Greetings, acknowledgements and presence.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Record;

/// The first word of an agent on a session; who it is stands in its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol version that it speaks.
    pub protocol: u32,
    /// What it can do beyond the version's minimum.
    pub capabilities: Vec<String>,
    /// Its build.
    pub version: String,
    /// Which life of its state folder.
    pub boot: String,
    /// The addresses that it observes on its interfaces (semantics 32).
    pub addresses: Vec<IpAddr>,
    /// The generation that it holds already; 0 for none.
    pub generation: u64,
}

/// What an agent says of one generation, after the kernel committed it or refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The generation.
    pub generation: u64,
    /// The outcome.
    pub result: AckResult,
}

/// The outcome of applying a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AckResult {
    /// It is in force.
    InForce,
    /// It was refused whole, and the generation before it is still in force.
    Refused {
        /// Why, in the agent's or the kernel's words.
        reason: String,
    },
}

/// Whether an agent is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Known, but no certificate was issued yet.
    Unenrolled,
    /// Connected.
    Online,
    /// Silent for longer than the heartbeats allow, and nothing says that it ended.
    Stale,
    /// Not connected.
    Offline,
}

/// What the center knows of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentState {
    /// The VM.
    pub vm: String,
    /// Whether its agent is there.
    pub presence: Presence,
    /// The last generation that it acknowledged as in force; 0 for none.
    pub acked: u64,
    /// The last generation that it refused, with the reason.
    pub refused: Option<(u64, String)>,
    /// Whether it is quarantined.
    pub quarantined: bool,
    /// How many sessions came while another with the same key lived: the key is in two places, and the newer are
    /// quarantined. Counted since the center started, until the VM enrols anew.
    #[serde(default)]
    pub clones: u64,
    /// Of a stale agent: when it was last heard, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub stale_since: Option<i64>,
    /// Until when its VM is suspended locally, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub suspended_until: Option<i64>,
}

/// One thing that the center tells its watchers, in the order in which it learned it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum CenterEvent {
    /// A record was stored.
    Record(Box<Record>),
    /// A generation was published.
    Published {
        /// Its number.
        generation: u64,
    },
    /// An agent's state changed (presence or acknowledgement).
    Agent(AgentState),
    /// Something that an operator should look at: a cloned key, a conflict of addresses, a token used twice.
    Alert {
        /// The VM that it concerns.
        vm: String,
        /// What, in words.
        detail: String,
    },
    /// A watcher was too slow and missed this many events; it must query instead.
    Missed {
        /// How many.
        count: u64,
    },
}

//! What agent and center say to each other, and what the center says to its operators.
//!
//! The types here are the vocabulary; `proto` holds their form on the wire, and the conversions between the two
//! destructure every field, so that none is forgotten.

mod record;
mod status;
mod view;

pub use record::{Direction, FlowEnd, Kind, Record, RecordKey};
pub use status::{Ack, AckResult, AgentState, CenterEvent, Hello, Presence};
pub use view::{Outside, Peer, Set, View, ViewRule};

/// The version of the protocol that this build speaks; a center also speaks with agents one version older.
pub const PROTOCOL: u32 = 1;

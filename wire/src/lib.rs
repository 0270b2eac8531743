//! What agent and center say to each other, and what the center says to its operators.
//!
//! The types here are the vocabulary; `proto` holds their form on the wire, and the conversions between the two
//! destructure every field, so that none is forgotten. Without features this crate opens no socket and needs no runtime;
//! `client` adds the callers' side of agents and operators, `server` the center's.

#[cfg(feature = "client")]
pub mod admin;
#[cfg(feature = "client")]
pub mod channel;
mod convert;
mod detector;
mod operator;
pub mod proto;
mod pulse;
#[cfg(feature = "client")]
mod received;
mod record;
mod seal;
mod session;
mod status;
mod token;
#[cfg(feature = "client")]
mod trust;
mod view;

pub use convert::{DecodeError, Fault};
pub use detector::ViewDetector;
pub use operator::{CenterStatus, InventoryFile, InventoryVm, PolicyVersion, RecordQuery, StoredRecord};
pub use pulse::{HEARTBEAT, MISSED, Pulse};
pub use record::{Direction, FlowEnd, Kind, MAX_PAYLOAD, MAX_TEXT, Record, RecordKey};
pub use seal::{SEALS, Seal, SealedView};
pub use session::{FromAgent, FromCenter, MAX_ADDRESSES, MAX_BATCH, MAX_FROM_AGENT, Suspension};
pub use status::{Ack, AckResult, AgentState, CenterEvent, Hello, Presence};
pub use token::{JoinToken, TokenError};
pub use view::{Elsewhere, Outside, Peer, Set, View, ViewRule};

/// The version of the protocol that this build speaks; a center also speaks with agents one version older.
pub const PROTOCOL: u32 = 2;
/// The name in a center's certificate, whatever its addresses.
pub const CENTER_NAME: &str = "center.eastwest";

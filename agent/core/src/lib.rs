//! The agent's pure core: no clock, no file, no socket.
pub mod ruleset;

pub use ruleset::{Action, Builtin, Class, IpRange, MAX_EPOCH, Ruleset, Service, Word};

//! The agent's pure core: no clock, no file, no socket.
//!
//! A view comes in, a ruleset goes out; the kernel's log messages come in, records go out. Time is an argument.
pub mod event;
pub mod ruleset;

pub use event::{Direction, LogEvent, LogKind};
pub use ruleset::{Action, Builtin, Class, IpRange, MAX_EPOCH, Ruleset, Service, Word};

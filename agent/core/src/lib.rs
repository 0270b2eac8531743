//! The agent's pure core: no clock, no file, no socket.
//!
//! A view comes in, a ruleset goes out; the kernel's log messages come in, records go out. Time is an argument.

mod addresses;
mod compile;
mod decide;
pub mod event;
mod outcome;
mod render;
pub mod ruleset;
mod services;

pub use compile::{MOST_ADDRESSES, MOST_PAIRS, Program, TooBig, closed, compile, next_change};
pub use event::{Direction, LogEvent, LogKind};
pub use outcome::{Numbering, Outcome};
pub use render::render;
pub use ruleset::{Action, Builtin, Class, IpRange, MAX_EPOCH, Ruleset, Service, Word};

//! The agent's pure core: no clock, no file, no socket.
//!
//! A view comes in, a ruleset goes out; the kernel's log messages come in, records go out. Time is an argument.

mod account;
mod addresses;
mod alert;
mod compile;
mod decide;
mod deed;
mod detect;
mod epochs;
pub mod event;
mod evidence;
mod history;
mod index;
mod intercept;
mod journal;
mod losses;
mod machine;
mod matrix;
mod outage;
mod outcome;
pub mod packet;
mod party;
mod places;
mod render;
pub mod ruleset;
mod services;
mod spool;
mod storm;
mod terms;
mod volume;

pub use account::{Account, Count};
pub use compile::{MOST_ADDRESSES, MOST_PAIRS, MOST_RANGES, Program, TooBig, closed, compile, next_change};
pub use detect::MOST_MARKS;
pub use epochs::Epochs;
pub use event::{Direction, LogEvent, LogKind};
pub use intercept::Interception;
pub use machine::Machine;
pub use outcome::{Numbering, Outcome};
pub use party::Party;
pub use render::render;
pub use ruleset::{Action, Builtin, Class, IpRange, MAX_EPOCH, Place, Ruleset, Service, Word};
pub use spool::{CAPACITY, CAPACITY_BYTES, Former, Limits, Spool, SpoolChange, Tail};
pub use terms::{Config, Facts, KernelRequest, State, Suspended};
pub use volume::{MOST_WEIGHED, Weight};

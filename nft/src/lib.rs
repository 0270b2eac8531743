//! `nf_tables`, NFLOG and connection tracking over netlink, encoded here: no program, no C library.
//!
//! A [`Socket`] belongs to the network namespace of the thread that opened it, and works from any thread afterwards.
//! Changes go through a [`Batch`], which the kernel takes whole or not at all.
mod attr;
mod batch;
mod conntrack;
#[cfg(feature = "decode")]
pub mod decode;
mod error;
mod expr;
mod fence;
mod log;
mod message;
mod numbers;
mod others;
mod read;
mod sets;
mod socket;
mod watch;

pub use batch::{Batch, Family, Hook, HookPoint, Policy, Table};
pub use conntrack::{Address, Connection, ConnectionUpdate};
pub use error::{Error, Refusal};
pub use expr::{CtKey, Direction, Expr, Header, Log, MetaKey, Reject, Test, Verdict};
pub use fence::{Edge, Guard, fence_device, fence_macs, guard_port, lose_macs, rank_macs, stopped, unfence};
pub use log::{LogBatch, LogOptions, LogPacket, LogReader};
pub use others::Meddling;
pub use read::{ChainInfo, Counted, ElementInfo, RuleInfo, SetInfo, read_counters};
pub use sets::{Element, SetKind, SetSpec, Type};
pub use socket::Socket;
pub use watch::{Foreign, Watch};

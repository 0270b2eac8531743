//! What the machine is told at its start, and what it asks of those who drive it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::{Seal, View};

use crate::epochs::Epochs;
use crate::intercept::Interception;
use crate::outcome::Numbering;
use crate::ruleset::Ruleset;
use crate::spool::Limits;

/// What does not change while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This VM as its certificate names it; empty while unknown.
    pub vm: String,
    /// A random number in hex: this life of the agent.
    pub boot: String,
    /// This build.
    pub version: String,
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// The center's address as this agent dials it; without it, the view's.
    pub center: Option<SocketAddr>,
    /// How long before this life's start the center was last heard, in milliseconds; `None` where that is not known.
    pub heard_before: Option<u64>,
    /// The addresses of this machine's interfaces.
    pub addresses: Vec<IpAddr>,
    /// A suspension that an earlier life left, by this life's clock.
    pub suspended: Option<Suspended>,
    /// How many records wait for the center at most.
    pub spool: Limits,
    /// The highest epoch; lower than [`MAX_EPOCH`] in tests alone.
    pub max_epoch: u16,
}

/// A local suspension: the policy's rules only record until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// When it ends, by the agent's own clock in milliseconds.
    pub until: u64,
    /// Who asked for it.
    pub by: String,
}

/// What must outlive the process: written before the commit that relies on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The view in force, or about to be. It is not written as such: what is kept is its seal, and what the seal's
    /// bytes mean is read again when the seal holds.
    #[serde(skip)]
    pub view: Option<Arc<View>>,
    /// Its seal; a view without one is not kept.
    pub seal: Option<Arc<Seal>>,
    /// The epoch counter.
    pub epochs: Epochs,
    /// The numbers that marks may hold.
    pub numbering: Numbering,
    /// The view's policy is over until the center sends another: it was away for longer than the policy allows.
    #[serde(default)]
    pub over: bool,
    /// The sources that detectors had denied.
    #[serde(default)]
    pub interceptions: Vec<Interception>,
}

/// What the kernel half shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelRequest {
    /// Bring the kernel to this ruleset in one transaction. Words that it no longer lists are gone from every mark.
    Apply {
        /// What the kernel shall hold.
        ruleset: Arc<Ruleset>,
        /// Addresses that have a new owner: after the commit their connections are to be forgotten (semantics 3).
        forget: BTreeSet<IpAddr>,
    },
    /// Lay everything that is in force anew: somebody else changed it.
    Repair {
        /// What the kernel shall hold.
        ruleset: Arc<Ruleset>,
    },
    /// Set the epoch of every connection's mark to 0.
    Sweep {
        /// The epoch in force, whose marks may stay; 0 for none: no mark can be trusted.
        except: u16,
    },
}

/// Figures for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The generation in force; 0 for none (closed).
    pub generation: u64,
    /// The epoch in force; 0 for none.
    pub epoch: u16,
    /// That generation's policy is over, and the VM closed: its center is away for longer than the policy allows.
    #[serde(default)]
    pub over: bool,
    /// The center's time by which the rules were chosen that have an `until`, in milliseconds since the Unix epoch; `None`
    /// where it is not known yet.
    #[serde(default)]
    pub looked: Option<i64>,
    /// That generation binds none of the machine's addresses to the VM, which is closed therefore.
    #[serde(default)]
    pub strange: bool,
    /// Records made since the agent started.
    pub records: u64,
    /// Records that the center has not stored yet.
    pub waiting: u64,
    /// Packets whose records are lost.
    pub lost: u64,
    /// Attempts that detectors dropped for want of room.
    #[serde(default)]
    pub uncounted: u64,
    /// The last generation that was refused, and why.
    pub refused: Option<(u64, String)>,
    /// The local suspension, if there is one.
    #[serde(default)]
    pub suspended: Option<Suspended>,
}

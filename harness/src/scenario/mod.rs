//! Scenarios: a topology, and a series of states with the expectation of each (design.md 4, semantics 25, 36–43).
//!
//! The types here are plain values, complete and checked: every name in them exists where it is used, globs of actions
//! are resolved, default addresses are given. Globs of expectations stay, for the plan to resolve.

mod axes;
mod bulk;
mod crafted;
mod exec;
mod expect;
mod flooding;
mod known;
mod path;
mod publication;
pub(crate) mod read;
pub(crate) mod soon;
mod step;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use policy::Policy;

pub use axes::{Axes, Families, Placement, Variant};
pub(crate) use axes::{FAMILIES, PLACEMENTS};
pub use bulk::BulkTransfer;
pub(crate) use crafted::LEAST;
pub use crafted::{Crafted, Extension, Fragments, IcmpError, Ports, Shape};
pub use exec::Exec;
pub use expect::{About, Choice, Claim, Expectation, Expected, FlowClaim, Glob, ReportClaim, SessionClaim, Standing};
pub use flooding::{Fate, Flooding};
pub use known::{KnownFailure, Mark};
pub use path::PathChange;
pub use publication::{Publication, Refuser};
pub(crate) use read::{Fold, parse_living, parse_steps};
pub use read::{LoadError, ScenarioErrors, beside, load, parse, parse_trial};
pub use step::{Act, Action, Doing, Ending, Keeping, Party, Process, Sending, Step, Stream, Tampering};
pub use topology::{AgentKind, Eager, Foreign, Host, Neighbours, Outside, Speech, Topology, VmSpec};

/// One scenario, or a topology alone (then without steps).
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name; the file's name where it says none.
    pub name: String,
    /// The file as it was given.
    pub file: String,
    /// Its text, for the places in it.
    pub source: Arc<str>,
    /// It takes long: left out unless asked for.
    pub slow: bool,
    /// It takes very long: left out unless asked for as such.
    pub soak: bool,
    /// It runs while nothing else does (semantics 31).
    pub exclusive: bool,
    /// How often center and agents say that they live, where it is not the customary time.
    pub heartbeat: Option<Duration>,
    /// Along which axes it is varied, each combination a trial of its own.
    pub axes: Axes,
    /// What stands before the first step.
    pub topology: Topology,
    /// The policy before the first step; without one, agents stay closed.
    pub policy: Option<Arc<PolicyText>>,
    /// The steps, in order, `repeat` not unrolled.
    pub steps: Vec<Step>,
}

/// A policy with the text that it was read from: the text is published, the value is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyText {
    /// The file, or the scenario's file for a policy written in it.
    pub source: String,
    /// The whole text of the policy, as the center takes it.
    pub text: String,
    /// What it says.
    pub policy: Policy,
}

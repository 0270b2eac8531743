//! Real programs that run in the place of an endpoint.

use std::time::Duration;

use policy::{FlowService, Name};

/// A program that a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The endpoint in whose network it runs.
    pub at: Name,
    /// The program; one with a `/` is found beside the scenario.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The exit code that it must end with; `None`: any.
    pub exits: Option<i32>,
    /// What must be in its standard output.
    pub prints: Option<String>,
    /// How long it may take before it is ended, and has come out otherwise.
    pub within: Duration,
    /// It may change its network and send crafted packets.
    pub raw: bool,
    /// It goes on meanwhile, by this name.
    pub name: Option<String>,
    /// It goes on once it listens here.
    pub listens: Option<FlowService>,
}

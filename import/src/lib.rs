//! Others' rules as scenarios: Kubernetes' network policies with their pods, and AWS' security groups with their instances.
//!
//! The text that comes out is a whole scenario: who there is, the policy that means the same, and a step to add expectations to. What
//! cannot be carried is an error at its place; what is left out because it has no bearing is told in a note. Nothing here reads a file.

mod aws;
mod blocks;
mod emit;
mod kubernetes;
mod merge;
mod outside;
mod selectors;
mod source;
mod world;
mod yaml;

use policy::{Errors, Family};

pub use aws::security_groups;
pub use kubernetes::kubernetes;
pub use policy::Source;

/// What is to be made of it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Over how many hosts the VMs are dealt, in the order of their names.
    pub hosts: u16,
    /// Addresses of the other family are left away.
    pub family: Option<Family>,
}

impl Default for Options {
    fn default() -> Self {
        Self { hosts: 1, family: None }
    }
}

/// A scenario, and what its reader should know that it does not say.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The text of the scenario.
    pub scenario: String,
    /// What was left out, and what was taken for granted; a line each.
    pub notes: Vec<String>,
}

/// What importing gives: a scenario, or all that is wrong, file by file.
pub type Outcome = Result<Imported, Vec<Errors>>;

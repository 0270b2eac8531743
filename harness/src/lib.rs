//! The harness: scenarios, the world they run in, probes, witnesses and the judge.

pub mod evidence;
pub mod fuzz;
pub mod jail;
pub mod judge;
pub mod living;
pub mod model;
pub mod mutate;
mod need;
mod patience;
pub mod plan;
mod probe;
pub mod prove;
pub mod run;
pub mod scenario;
pub mod schema;
pub mod state;
mod witness;
mod world;

pub use jail::jail_main;
pub use run::{
    BEHIND_A_FAILURE, Instead, Job, Only, Pause, RunError, RunOptions, RunOutcome, flows_packets, reach_packets, run,
};
pub use world::{Programs, Sabotage, lack};

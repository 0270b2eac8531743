//! The harness: scenarios, the world they run in, probes, witnesses and the judge.

pub mod evidence;
pub mod jail;
pub mod plan;
pub mod run;
pub mod scenario;
pub mod state;

pub use jail::jail_main;
pub use run::{Job, RunError, RunOptions, RunOutcome, reach_packets, run};

//! The agent: keeps a virtual machine's kernel in step with its view of the policy, and reports what was intercepted.
//!
//! It never sits in a packet's path, decides nothing (that is `agent_core`), and its end leaves the ruleset in force.
mod backoff;
mod control;
mod edge;
mod enrol;
mod error;
mod folder;
mod heard;
mod interfaces;
mod keeper;
mod kept;
pub mod kernel;
mod link;
mod options;
mod rim;
mod run;
mod spool;
mod status;
mod suspended;
mod totals;
mod uninstall;

pub use control::{Order, order};
pub use edge::{Edge, Honest};
pub use error::Error;
pub use options::Options;
pub use run::run;
pub use status::{Connection, Ease, Status, status};
pub use uninstall::uninstall;

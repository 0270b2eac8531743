//! The saboteur: the agent with a lie in it, for tests alone. It shows that the suite catches an agent that lies.
pub mod kinds;
mod liar;
mod miscompiler;

pub use kinds::{EXPECTED, Kind};
pub use liar::Liar;
pub use miscompiler::{Bug, Miscompiler};

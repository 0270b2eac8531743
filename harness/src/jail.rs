//! The inner side of a run: the process that owns one scenario's world, and what it says on its control socket.

use std::process::ExitCode;

/// The hidden `eastwest jail` subcommand: takes one job from the control socket (its standard input), carries it out
/// in namespaces of its own, and reports events as lines of JSON.
#[must_use]
pub fn jail_main() -> ExitCode {
    ExitCode::from(3)
}

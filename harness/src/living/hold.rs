//! Holding a living lab: the process that stays behind, on whose life the lab's hangs.

use std::io::BufReader;
use std::path::PathBuf;

use reports::event::Event;

use crate::jail::protocol::{FromJail, Order, Speaker, read};
use crate::run::{Job, RunError};
use crate::world::Programs;

/// What is to be held.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The scenario whose first state is raised.
    pub job: Job,
    /// The programs in it.
    pub programs: Programs,
    /// Where the lab listens; nothing is there yet.
    pub socket: PathBuf,
}

/// Raises a lab, says so once it listens, and holds it until it ends: the lab dies with the calling thread.
///
/// # Errors
/// When it cannot be raised, or ends otherwise than by being asked to.
pub fn hold(holding: Holding, ready: impl FnOnce()) -> Result<(), RunError> {
    let Holding { job, programs, socket } = holding;
    let mut jail = lab::jail::start(&["jail"]).map_err(|error| RunError::Environment(error.to_string()))?;
    let order = Order { lab: Some(socket), ..Order::of(&job, &programs) };
    Speaker::new(&jail.control).say(&order).map_err(RunError::Harness)?;
    let mut words = BufReader::new(&jail.control);
    let (mut ready, mut failed) = (Some(ready), None);
    while let Some(word) = read(&mut words).map_err(RunError::Harness)? {
        match word {
            FromJail::Event(event) if matches!(*event, Event::LabReady { .. }) => {
                ready.take().into_iter().for_each(|ready| ready());
            }
            FromJail::Failed(reason) => failed = Some(RunError::Harness(reason)),
            FromJail::Lacking(reason) => failed = Some(RunError::Environment(reason)),
            FromJail::Ready
            | FromJail::Waits
            | FromJail::WrongInput
            | FromJail::Paused(_)
            | FromJail::Event(_)
            | FromJail::Cells(_)
            | FromJail::Packets(_) => {}
        }
    }
    let status = jail.process.wait().map_err(|error| RunError::Harness(format!("wait for the lab: {error}")))?;
    match (failed, status.success()) {
        (Some(error), _) => Err(error),
        (None, true) => Ok(()),
        (None, false) => Err(RunError::Environment(format!("the lab ended with {status} (try `eastwest doctor`)"))),
    }
}

/// Leaves the terminal and the session from which this process was started, so that it outlives them.
///
/// # Errors
/// When the kernel refuses.
pub fn leave_terminal() -> Result<(), String> {
    nix::unistd::setsid().map(drop).map_err(|error| format!("leave the terminal: {error}"))
}

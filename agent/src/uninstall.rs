//! Takes the agent away from a machine.

use std::path::Path;

use crate::control::{Order, order};
use crate::error::Error;
use crate::folder::{self, Folder};
use crate::kernel;

/// Takes the agent that uses a state folder away from the machine whose network namespace this is: its rules, its key,
/// all that it kept. One that runs tells its center, and ends; `false`: none ran, and the center was not told.
///
/// # Errors
/// When there is no such folder, or something of it stays.
pub fn uninstall(state: &Path) -> Result<bool, Error> {
    let runs = folder::status(state)?.running;
    if runs {
        order(state, Order::Uninstall)?;
    }
    let folder = Folder::wait_for(state)?;
    if !runs {
        kernel::remove()?;
    }
    folder.wipe()?;
    Ok(runs)
}

//! Who can speak to whom, by packets: every ordered pair, in the state before the first step.

use std::path::Path;

use policy::FlowService;

use super::course;
use super::protocol::{FromJail, Order, Speaker};

/// Answers with cells, or with why there are none.
pub(super) fn run(
    order: &Order,
    services: &[FlowService],
    scratch: &Path,
    speaker: &mut Speaker<'_>,
) -> Result<(), String> {
    let answer = match cells(order, services, scratch) {
        Ok(cells) => FromJail::Cells(cells),
        Err(reason) => FromJail::Failed(reason),
    };
    speaker.say(&answer)
}

fn cells(order: &Order, services: &[FlowService], scratch: &Path) -> Result<Vec<reports::event::Cell>, String> {
    let scenario = course::read(order)?;
    let mut world = course::raise(order, &scenario, scratch)?;
    let _ = (&mut world, services);
    Err("reach by packets is not there yet".into())
}

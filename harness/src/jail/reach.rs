//! Who can speak to whom, by packets: every ordered pair, in the state before the first step.

use std::path::Path;
use std::sync::Arc;

use policy::{Family, Flow, FlowService, Name, Timestamp};
use reports::event::Cell;

use super::course;
use super::protocol::{FromJail, NoWorld, Order, Speaker};
use crate::judge::judge_step;
use crate::plan::{Origin, PlannedCell, PlannedStep, ends};
use crate::state::State;

/// Answers with cells, or with why there are none.
pub(super) fn run(
    order: &Order,
    services: &[FlowService],
    scratch: &Path,
    speaker: &mut Speaker<'_>,
) -> Result<(), String> {
    let answer = match cells(order, services, scratch) {
        Ok(cells) => FromJail::Cells(cells),
        Err(none) => none.word(),
    };
    speaker.say(&answer)
}

fn cells(order: &Order, services: &[FlowService], scratch: &Path) -> Result<Vec<Cell>, NoWorld> {
    let scenario = course::read(order)?;
    let state = Arc::new(State::initial(&scenario));
    let pairs = state.endpoints().flat_map(|source| {
        state
            .endpoints()
            .filter(move |destination| *destination != source)
            .map(move |destination| (source, destination))
    });
    let step = step(&state, pairs, services);
    let mut world = course::raise(order, &scenario, scratch)?;
    world.begin(&step)?;
    let (observation, _) = world.observe(&step)?;
    let (cells, _) = judge_step(&step, &observation);
    Ok(cells)
}

/// A step that does nothing and claims nothing, and probes these pairs.
pub(crate) fn step<'n>(
    state: &Arc<State>,
    pairs: impl IntoIterator<Item = (&'n Name, &'n Name)>,
    services: &[FlowService],
) -> PlannedStep {
    let name: Arc<str> = "as it stands".into();
    let origin = Origin { step: Arc::clone(&name), line: 1, text: "".into() };
    let mut cells = Vec::new();
    for (source, destination) in pairs {
        for family in state.families(source, destination) {
            let flows = services.iter().filter(|service| service.exists_in(family));
            cells.extend(flows.filter_map(|&service| cell(state, (source, destination), service, family, &origin)));
        }
    }
    let (before, state) = (Arc::clone(state), Arc::clone(state));
    PlannedStep {
        index: 0,
        name,
        line: 1,
        before,
        prelude: Vec::new(),
        acts: Vec::new(),
        state,
        cells,
        throughout: Vec::new(),
        sessions: Vec::new(),
        events: Vec::new(),
        marked: Vec::new(),
        findings: Vec::new(),
        left_out: 0,
    }
}

pub(crate) fn cell(
    state: &State,
    (source, destination): (&Name, &Name),
    service: FlowService,
    family: Family,
    origin: &Origin,
) -> Option<PlannedCell> {
    let (from, to) = (state.address(source, family)?, state.address(destination, family)?);
    let flow = Flow { source: from, destination: to, service };
    let ends = ends(state, source, destination, &flow, Timestamp::now());
    Some(PlannedCell {
        source: source.clone(),
        destination: destination.clone(),
        service,
        family,
        source_address: from,
        destination_address: to,
        expected: ends::expected(None, &ends, false),
        claimed: None,
        ends,
        also: Vec::new(),
        cut: false,
        origin: origin.clone(),
    })
}

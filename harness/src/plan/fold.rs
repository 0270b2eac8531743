//! Going through the steps: states, cells, sessions and events of each.

use std::sync::Arc;

use policy::{Problems, Timestamp};

use super::cells::{self, Listed, Table};
use super::claims::Names;
use super::sessions::{self, Sessions};
use super::{Ends, PlannedAct, PlannedCell, PlannedStep, complete, ends};
use crate::scenario::{Action, Claim, Expectation, Mark, Scenario, Step};
use crate::state::{State, Transition};

/// What the steps so far have led to.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    state: Arc<State>,
    /// The states at the ends of the steps.
    history: Vec<State>,
    sessions: Sessions,
    planned: Vec<PlannedStep>,
}

impl Trail {
    /// No step so far.
    pub(crate) fn of(state: State) -> Self {
        Self { state: Arc::new(state), history: Vec::new(), sessions: Sessions::default(), planned: Vec::new() }
    }

    /// Where it has led to.
    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Goes on with steps from a text; gives them as they are to be run, `repeat` unrolled.
    pub(crate) fn go(
        &mut self,
        (source, steps): (&str, &[Step]),
        now: Timestamp,
        problems: &mut Problems,
    ) -> &[PlannedStep] {
        let (so_far, planned) = (self.history.len(), self.planned.len());
        let mut walk = Walk { source, now, problems, trail: self };
        for (index, step) in steps.iter().enumerate() {
            for round in 1..=step.repeat {
                let name = match step.repeat {
                    1 => step.name.clone(),
                    rounds => format!("{} ({round} of {rounds})", step.name),
                };
                let planned = walk.step(so_far + index, step, Arc::from(name));
                walk.trail.planned.push(planned);
            }
            walk.trail.history.push((*walk.trail.state).clone());
        }
        &self.planned[planned..]
    }
}

/// What the walk through the steps carries.
struct Walk<'a> {
    /// The text in which the steps stand.
    source: &'a str,
    now: Timestamp,
    problems: &'a mut Problems,
    trail: &'a mut Trail,
}

/// Every step of a scenario as it is to be run.
pub(super) fn steps(scenario: &Scenario, now: Timestamp, problems: &mut Problems) -> Vec<PlannedStep> {
    let mut trail = Trail::of(State::initial(scenario));
    trail.go((&scenario.source, &scenario.steps), now, problems);
    trail.planned
}

impl Walk<'_> {
    fn step(&mut self, index: usize, step: &Step, name: Arc<str>) -> PlannedStep {
        let before = Arc::clone(&self.trail.state);
        let sessions_before = self.trail.sessions.clone();
        let acts = self.acts(step);
        self.trail.sessions.traffic(&self.trail.state, self.now, |_| true);
        let state = Arc::clone(&self.trail.state);
        let mut names = Names { source: self.source, state: &state, problems: self.problems };
        let mut table = cells::table(&mut names, step.expect.iter());
        if let Some((earlier, line)) = step.same_as {
            let place = cells::line_place(self.source, line);
            if let Some(earlier) = self.trail.planned.iter().rev().find(|planned| planned.index == earlier) {
                cells::same_as(&mut names, earlier, (line, place), &mut table);
            }
        }
        complete::check(self.source, step, &state, &table, names.problems);
        let mut sessions = self.trail.sessions.planned(&sessions_before, &state, &name, step.line);
        let mut findings = sessions::claim(&mut names, step, &mut sessions);
        let events = events(&mut names, step);
        let (cells, left_out) = self.cells(step, &table, &name);
        let throughout = self.throughout(step, &acts, &before, &name);
        let all = step.expect.iter().chain(&step.throughout);
        let marked = all.filter(|expectation| expectation.mark != Mark::default()).cloned().collect();
        findings.extend(cells.iter().chain(&throughout).filter_map(cells::disagreement));
        PlannedStep {
            index,
            name,
            line: step.line,
            before,
            prelude: Vec::new(),
            acts,
            state,
            cells,
            throughout,
            sessions,
            events,
            marked,
            findings,
            left_out,
        }
    }

    fn acts(&mut self, step: &Step) -> Vec<PlannedAct> {
        let mut acts = Vec::new();
        for doing in &step.doing {
            let mut next = (*self.trail.state).clone();
            if let Err(why) = next.apply(&doing.action, &self.trail.history) {
                let place = policy::Span::from(doing.place.clone());
                self.problems.report(policy::Problem::new(place, why));
                continue;
            }
            let transition = Transition::between(&self.trail.state, &next);
            self.trail.state = Arc::new(next);
            let action = &doing.action;
            let carries = |open: &str| {
                matches!(action, Action::Open { name, .. } if name == open)
                    || matches!(action, Action::SendOn { names } if names.iter().any(|name| name == open))
            };
            self.trail.sessions.traffic(&self.trail.state, self.now, carries);
            acts.push(PlannedAct { doing: doing.clone(), transition, state: Arc::clone(&self.trail.state) });
        }
        acts
    }

    fn cells(&self, step: &Step, table: &Table, name: &Arc<str>) -> (Vec<PlannedCell>, usize) {
        let plan = |listed: &Listed| cells::planned(&self.trail.state, listed, name, self.now);
        let mut planned: Vec<PlannedCell> = table.listed().iter().filter_map(plan).collect();
        if step.expect.is_empty() && step.same_as.is_none() {
            return (planned, 0);
        }
        let (more, left_out) = cells::unlisted(&self.trail.state, table, step.line);
        planned.extend(more.iter().filter_map(plan));
        (planned, left_out)
    }

    /// Cells of `throughout`: between endpoints that are there all the while, with what is right on the way.
    fn throughout(&mut self, step: &Step, acts: &[PlannedAct], before: &State, name: &Arc<str>) -> Vec<PlannedCell> {
        let state = Arc::clone(&self.trail.state);
        let mut names = Names { source: self.source, state: &state, problems: self.problems };
        let table = cells::table(&mut names, step.throughout.iter());
        let states: Vec<&State> = std::iter::once(before).chain(acts.iter().map(|act| act.state.as_ref())).collect();
        let planned = table.listed().iter().filter_map(|listed| cells::planned(&state, listed, name, self.now));
        planned.filter(|cell| stays(cell, &states)).map(|cell| on_the_way(cell, &states, self.now)).collect()
    }
}

/// Whether both ends of a cell have their addresses in every state.
fn stays(cell: &PlannedCell, states: &[&State]) -> bool {
    states.iter().all(|state| {
        state.addresses(&cell.source).contains(&cell.source_address)
            && state.addresses(&cell.destination).contains(&cell.destination_address)
    })
}

/// A cell with what its ends decide in other states. On the way each end holds a state of its own, so any decision of
/// the one may meet any of the other (semantics 28).
fn on_the_way(mut cell: PlannedCell, states: &[&State], now: Timestamp) -> PlannedCell {
    let flow = ends::flow(cell.source_address, cell.destination_address, cell.service);
    let (mut sources, mut destinations) = (vec![cell.ends.source.clone()], vec![cell.ends.destination.clone()]);
    for state in states {
        let Ends { source, destination } = ends::ends(state, &cell.source, &cell.destination, &flow, now);
        for (known, decision) in [(&mut sources, source), (&mut destinations, destination)] {
            if !known.contains(&decision) {
                known.push(decision);
            }
        }
    }
    let pairs = sources.iter().flat_map(|source| destinations.iter().map(move |destination| (source, destination)));
    let also = pairs.map(|(source, destination)| Ends { source: source.clone(), destination: destination.clone() });
    cell.also = also.filter(|ends| *ends != cell.ends).collect();
    cell
}

fn events(names: &mut Names<'_>, step: &Step) -> Vec<Expectation> {
    let is_event = |expectation: &&Expectation| match &expectation.claim {
        Claim::Flow(_) | Claim::Session { .. } => false,
        Claim::Report(_)
        | Claim::Agent { .. }
        | Claim::AckedByAll { .. }
        | Claim::CenterBelow { .. }
        | Claim::PortStopped { .. }
        | Claim::PathMtu { .. }
        | Claim::Balanced => true,
    };
    let events: Vec<Expectation> = step.expect.iter().filter(is_event).cloned().collect();
    events.iter().for_each(|expectation| names.event(expectation));
    events
}

//! What is done to a living lab: steps, one after another, and probes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{Flow, FlowService, Problems, Timestamp};
use reports::event::{Event, ScenarioId};

use super::capture::Captures;
use super::rerun::{Raised, raised};
use super::traffic::Traffic;
use super::{Answer, Probed, Talk, find};
use crate::jail::reach;
use crate::judge::{judge_step, set_apart};
use crate::plan::PlannedStep;
use crate::plan::fold::Trail;
use crate::scenario::{Fold, Scenario, ScenarioErrors, beside, parse_steps, soon};
use crate::state::State;
use crate::world::World;

/// How many steps a lab takes: it remembers each.
const MOST: usize = 10_000;

/// Where the steps of a living lab have led to.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) id: ScenarioId,
    /// Where texts of steps begin; a run that is paused takes none.
    pub(super) fold: Option<Fold>,
    pub(super) trail: Trail,
    pub(super) done: usize,
    /// A step was left half-way, for this reason: what stands is not known.
    pub(super) broken: Option<String>,
    /// Where operators outside find the center.
    pub(super) center: Option<PathBuf>,
    pub(super) traffic: Traffic,
    pub(super) captures: Captures,
    /// What stays as it was raised; not known of a run that is paused.
    pub(super) raised: Option<Raised>,
}

impl Course {
    /// Before the first step.
    pub(super) fn new(id: ScenarioId, scenario: &Scenario, fold: Fold) -> Self {
        let raised = Some(raised(scenario));
        Self { fold: Some(fold), raised, ..Self::at(id, State::initial(scenario), 0) }
    }

    /// Behind a step of a run.
    pub(super) fn paused(id: ScenarioId, step: &PlannedStep) -> Self {
        Self::at(id, State::clone(&step.state), step.index + 1)
    }

    fn at(id: ScenarioId, state: State, done: usize) -> Self {
        let (traffic, captures) = (Traffic::default(), Captures::default());
        Self {
            id,
            fold: None,
            trail: Trail::of(state),
            done,
            broken: None,
            center: None,
            traffic,
            captures,
            raised: None,
        }
    }

    /// Has traffic begin or end.
    pub(super) fn talk(&mut self, talk: Talk) -> Answer {
        match (&self.fold, &self.broken) {
            (None, _) => Answer::Failed("send traffic in a paused run: its next step would be judged by it".to_owned()),
            (Some(_), Some(reason)) if matches!(talk, Talk::Start { .. }) => {
                Answer::Failed(format!("send traffic in a lab in which a step was left half-way: {reason}"))
            }
            (Some(_), _) => Answer::Traffic(self.traffic.talk(talk, self.trail.state())),
        }
    }

    /// Sends traffic, if it is time for some.
    pub(super) fn send_traffic(&mut self, world: &mut World) {
        self.traffic.go(world, self.trail.state());
    }

    /// Where they have led to.
    pub(super) fn state(&self) -> &Arc<State> {
        self.trail.state()
    }

    /// Has steps done.
    pub(super) fn steps(&mut self, world: &mut World, file: &Path, text: &str) -> Answer {
        if let Some(reason) = &self.broken {
            return Answer::Failed(format!("do more in a lab in which a step was left half-way: {reason}"));
        }
        let Some(mut fold) = self.fold.clone() else {
            return Answer::Failed("do steps between those of a run".to_owned());
        };
        let (text, mut trail) = (soon::placed(text), self.trail.clone());
        let planned = planned(&mut fold, &mut trail, (&file.display().to_string(), &text), &mut beside(file));
        let planned = match planned {
            Ok(planned) if self.done + planned.len() > MOST => {
                return Answer::Failed(format!("do more than {MOST} steps in one lab"));
            }
            Ok(planned) => planned,
            Err(errors) => return Answer::Mistakes(errors.files().iter().map(policy::render_plain).collect()),
        };
        let mut events = Vec::new();
        for step in &planned {
            match self.step(world, step) {
                Ok(event) => events.push(event),
                Err(reason) => {
                    self.broken = Some(reason.clone());
                    self.talk(Talk::Stop);
                    return Answer::Failed(reason);
                }
            }
        }
        (self.fold, self.trail) = (Some(fold), trail);
        self.done += planned.len();
        Answer::Steps(events)
    }

    fn step(&self, world: &mut World, step: &PlannedStep) -> Result<Event, String> {
        world.begin(step)?;
        world.carry_out(step)?;
        let (observation, figures) = world.observe(step)?;
        let (cells, findings) = judge_step(step, &observation);
        let (findings, known) = set_apart(step, findings, Timestamp::now());
        Ok(Event::StepFinished {
            scenario: self.id.clone(),
            step: step.name.to_string(),
            generation: observation.published,
            cells,
            findings,
            known,
            figures,
        })
    }

    /// Probes a flow, in each family that both ends have.
    pub(super) fn probe(&self, world: &mut World, ends: [&str; 2], service: FlowService) -> Answer {
        match self.probed(world, ends, service) {
            Ok(probed) => Answer::Probed(probed),
            Err(reason) => Answer::Failed(reason),
        }
    }

    fn probed(&self, world: &mut World, ends: [&str; 2], service: FlowService) -> Result<Vec<Probed>, String> {
        let state = self.state();
        let (source, destination) = (find(state, ends[0])?, find(state, ends[1])?);
        if source == destination {
            return Err("probe from an endpoint to itself".to_owned());
        }
        let step = reach::step(state, [(source, destination)], &[service]);
        if step.cells.is_empty() {
            return Err(format!(
                "probe {service}: `{source}` and `{destination}` have no address family in common for it"
            ));
        }
        world.begin(&step)?;
        let (observation, _) = world.observe(&step)?;
        let (cells, findings) = judge_step(&step, &observation);
        let probed = step.cells.iter().zip(cells).map(|(planned, cell)| {
            let of_cell = findings.iter().filter(|finding| finding.family == Some(cell.family)).cloned().collect();
            let flow = Flow { source: planned.source_address, destination: planned.destination_address, service };
            let now = Timestamp::now();
            let why = state.policy.as_ref().map(|text| oracle::why(&text.policy, &state.inventory(), &flow, now));
            let why = why.map_or_else(|| "there is no policy: every VM is closed\n".to_owned(), |why| why.to_string());
            Probed { cell, findings: of_cell, why }
        });
        Ok(probed.collect())
    }
}

/// The steps of a text as they are to be run behind those so far, or all that is wrong with them.
fn planned(
    fold: &mut Fold,
    trail: &mut Trail,
    (file, text): (&str, &str),
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Vec<PlannedStep>, ScenarioErrors> {
    let steps = parse_steps(fold, (file, text), open)?;
    let mut problems = Problems::default();
    let planned = trail.go((text, &steps), Timestamp::now(), &mut problems).to_vec();
    match problems.into_errors(file, text) {
        None => Ok(planned),
        Some(errors) => Err(errors.into()),
    }
}

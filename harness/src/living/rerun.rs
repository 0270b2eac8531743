//! A scenario anew in the lab that stands: its first state by the difference from what there is, and then its steps.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::{Name, Timestamp};
use reports::event::{Event, Figures, Finding, ScenarioId, ScenarioOutcome};

use super::Answer;
use super::steps::Course;
use crate::evidence::Observation;
use crate::judge::{judge_step, set_apart, without_expectations};
use crate::plan::fold::Trail;
use crate::plan::{PlannedStep, is_settled, plan, way};
use crate::scenario::{Neighbours, Scenario, VmSpec, beside, parse};
use crate::state::{State, Transition};
use crate::world::{World, check, folder_of};

/// What of a lab stays as it was raised, beside what its state tells.
pub(super) type Raised = (Neighbours, Option<Duration>);

pub(super) fn raised(scenario: &Scenario) -> Raised {
    (scenario.topology.neighbours, scenario.heartbeat)
}

/// A step that was gone through.
struct Seen<'a> {
    step: &'a PlannedStep,
    observation: Observation,
    figures: Figures,
}

impl Course {
    /// Has the steps of a scenario done from its own first state, which may be another than the one that was raised.
    pub(super) fn rerun(&mut self, world: &mut World, file: &Path, text: &str) -> Answer {
        let begun = Instant::now();
        let scenario = match parse(&file.display().to_string(), text, &mut beside(file)) {
            Ok(scenario) => scenario,
            Err(errors) => return Answer::Mistakes(errors.files().iter().map(policy::render_plain).collect()),
        };
        if let Err(reason) = folder_of(file).and_then(|beside| check(&scenario, &beside)) {
            return Answer::Failed(reason);
        }
        if let Some(why) = self.elsewhere(&scenario) {
            return Answer::Elsewhere(why);
        }
        match self.gone_through(world, &scenario, begun) {
            Ok(events) => Answer::Steps(events),
            Err(reason) => {
                self.broken = Some(reason.clone());
                Answer::Failed(reason)
            }
        }
    }

    /// Why the first state of a scenario cannot be reached from what stands, if it cannot.
    fn elsewhere(&self, scenario: &Scenario) -> Option<String> {
        let (here, there) = (self.state(), State::initial(scenario));
        if let Some(reason) = &self.broken {
            return Some(format!("a step was left half-way: {reason}"));
        }
        if self.raised != Some(raised(scenario)) {
            return Some("its neighbours or its heartbeat are others".to_owned());
        }
        if self.done == 0 && self.fold.is_some() && **here == there {
            return None;
        }
        let fixed = |state: &State| (state.hosts.clone(), state.outside.clone(), state.managed.clone(), state.guarded);
        let eager = there.vms.values().any(|vm| vm.eager.is_some());
        if !is_settled(here) {
            Some("what the steps left behind cannot be undone in place".to_owned())
        } else if !is_settled(&there) || eager {
            Some("what its first state is depends on how it began".to_owned())
        } else if fixed(here) != fixed(&there) {
            Some("its hosts, outside endpoints, managed networks or ports are others".to_owned())
        } else {
            altered(here, &there).map(|vm| format!("`{vm}` is another in more than labels, mode, host and addresses"))
        }
    }

    fn gone_through(&mut self, world: &mut World, scenario: &Scenario, begun: Instant) -> Result<Vec<Event>, String> {
        let mut steps = plan(scenario, Timestamp::now());
        if let Some(first) = steps.first_mut().filter(|first| first.before != *self.state()) {
            first.prelude = vec![way(self.state(), &first.before, first)];
        }
        let id = ScenarioId { name: scenario.name.clone(), file: scenario.file.clone() };
        self.rest(&id, steps.last().map_or_else(|| self.state().clone(), |last| Arc::clone(&last.state)), steps.len());
        let seen = seen(world, &steps)?;
        let names = steps.iter().map(|step| step.name.to_string()).collect();
        let mut events =
            vec![Event::ScenarioStarted { scenario: id.clone(), steps: names, topology: scenario.topology.told() }];
        let mut passed = true;
        for Seen { step, observation, figures } in seen {
            let (cells, findings) = judge_step(step, &observation);
            let (findings, known) = set_apart(step, findings, Timestamp::now());
            passed &= findings.is_empty();
            let (scenario, step, generation) = (id.clone(), step.name.to_string(), observation.published);
            events.push(Event::StepFinished { scenario, step, generation, cells, findings, known, figures });
        }
        let findings: Vec<Finding> = without_expectations(scenario).into_iter().collect();
        let outcome = match passed && findings.is_empty() {
            true => ScenarioOutcome::Passed,
            false => ScenarioOutcome::Failed,
        };
        let seconds = begun.elapsed().as_secs_f64();
        events.push(Event::ScenarioFinished { scenario: id, outcome, seconds, reason: None, findings });
        Ok(events)
    }

    /// Where a scenario has led to; no further steps are taken from elsewhere.
    fn rest(&mut self, id: &ScenarioId, state: Arc<State>, done: usize) {
        self.id = id.clone();
        (self.fold, self.trail, self.done) = (None, Trail::of(State::clone(&state)), done);
    }
}

/// Goes through steps. What agents could not tell yet is heard later; what is left then, once every agent can speak again.
fn seen<'a>(world: &mut World, steps: &'a [PlannedStep]) -> Result<Vec<Seen<'a>>, String> {
    let mut all: Vec<Seen<'a>> = Vec::new();
    for step in steps {
        world.begin(step)?;
        let begun = Instant::now();
        world.carry_out(step)?;
        let change_seconds = begun.elapsed().as_secs_f64();
        let (observation, figures) = world.observe(step)?;
        complete(world, &mut all);
        all.push(Seen { step, observation, figures: Figures { change_seconds, ..figures } });
    }
    if all.iter().any(|seen| seen.observation.is_pending()) {
        world.recover()?;
        complete(world, &mut all);
    }
    Ok(all)
}

fn complete(world: &World, all: &mut [Seen<'_>]) {
    let pending = all.iter_mut().filter(|seen| seen.observation.is_pending());
    pending.for_each(|seen| world.complete(&mut seen.observation));
}

/// A VM that stays, and is another in what cannot be changed while it lives.
fn altered<'s>(here: &State, there: &'s State) -> Option<&'s Name> {
    let anew = Transition::between(here, there).removed;
    let differs = |(name, spec): &(&Name, &VmSpec)| {
        let kept = here.vms.get(*name).filter(|_| !anew.contains(name));
        kept.is_some_and(|old| {
            let (host, labels) = (spec.host.clone(), spec.labels.clone());
            VmSpec { host, labels, mode: spec.mode, dhcp: spec.dhcp, ..old.clone() } != **spec
        })
    };
    there.vms.iter().find(differs).map(|(name, _)| name)
}

//! The course of one scenario: raise its world, go through its steps, judge each, and tell everything as it happens.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use policy::Timestamp;
use reports::event::{Event, Figures, Finding, ScenarioOutcome};

use super::halt::{REASON, halts};
use super::keep::Keep;
use super::protocol::{FromJail, NoWorld, Order, Speaker};
use crate::evidence::Observation;
use crate::judge::{judge_step, never_ran, set_apart, without_expectations};
use crate::living;
use crate::need::Means;
use crate::plan::{PlannedStep, plan};
use crate::prove::proving;
use crate::scenario::{Placement, Scenario, beside, parse_trial};
use crate::state::State;
use crate::world::{World, check, folder_of};

/// Runs a scenario to its end, whatever that is.
pub(super) fn run(order: &Order, scratch: &Path, speaker: &mut Speaker<'_>) -> Result<(), String> {
    let begun = Instant::now();
    let mut course = Course { order, speaker, begun, findings: 0, keep: Keep::of(order), pending: VecDeque::new() };
    let ended = course.go(scratch);
    let (reason, findings) = match ended {
        Ok(findings) => (None, findings),
        Err(stopped) => (Some(stopped.reason), stopped.findings),
    };
    let outcome = match (&reason, course.findings + findings.len()) {
        (Some(_), _) => ScenarioOutcome::Error,
        (None, 0) => ScenarioOutcome::Passed,
        (None, _) => ScenarioOutcome::Failed,
    };
    let scenario = order.scenario.clone();
    let seconds = begun.elapsed().as_secs_f64();
    speaker.tell(Event::ScenarioFinished { scenario, outcome, seconds, reason, findings })
}

/// Reads the scenario and the policies beside it.
pub(super) fn read(order: &Order) -> Result<Scenario, String> {
    let scenario = parse_trial(&order.scenario.file, &order.text, order.variant, &mut beside(&order.path))
        .map_err(|errors| format!("read the scenario: {errors}"))?;
    match &order.instead {
        Some(instead) => instead.within(&scenario),
        None => Ok(scenario),
    }
}

/// Raises the world of a scenario's first state.
pub(crate) fn raise(order: &Order, scenario: &Scenario, scratch: &Path) -> Result<World, NoWorld> {
    if let Some(lack) = Means::of(&scenario.topology).lack(Means::here()) {
        return Err(NoWorld::Lacking(format!("raise {} VMs: {lack}", scenario.topology.vms.len())));
    }
    let state = Arc::new(State::initial(scenario));
    let beside = folder_of(&order.path)?;
    let moves = order.variant.placement == Some(Placement::AfterMove);
    let begins = if moves { Arc::new(state.elsewhere()) } else { Arc::clone(&state) };
    let mut world = World::raise(begins, scenario, order.programs.clone(), scratch, &beside)?;
    world.arrive(&state)?;
    Ok(world)
}

struct Course<'a, 'b> {
    order: &'a Order,
    speaker: &'a mut Speaker<'b>,
    begun: Instant,
    findings: usize,
    keep: Option<Keep>,
    /// Steps that wait for agents' words, and those behind them.
    pending: VecDeque<Seen>,
}

/// A step that was gone through.
struct Seen {
    step: PlannedStep,
    observation: Observation,
    figures: Figures,
}

/// A course that was not run to its end.
struct Stopped {
    reason: String,
    findings: Vec<Finding>,
}

impl From<String> for Stopped {
    fn from(reason: String) -> Self {
        Self { reason, findings: Vec::new() }
    }
}

impl Course<'_, '_> {
    fn go(&mut self, scratch: &Path) -> Result<Vec<Finding>, Stopped> {
        let scenario = read(self.order)?;
        let steps = match self.order.proving {
            Some(how) => proving(&scenario, Timestamp::now(), how).map_err(|error| error.to_string())?,
            None => plan(&scenario, Timestamp::now()),
        };
        let steps = self.order.visits.arrange(&steps).unwrap_or(steps);
        let steps = match &self.order.only {
            Some(only) => only.narrow(steps).map_err(|reason| format!("cannot {reason}"))?,
            None => steps,
        };
        let names = steps.iter().map(|step| step.name.to_string()).collect();
        let topology = scenario.topology.told();
        self.speaker.tell(Event::ScenarioStarted { scenario: self.order.scenario.clone(), steps: names, topology })?;
        // Of one that is interrupted its reason says enough.
        let never = |from: usize| match halts() {
            true => Vec::new(),
            false => steps.iter().skip(from).flat_map(never_ran).collect(),
        };
        if let Err(reason) = folder_of(&self.order.path).and_then(|beside| check(&scenario, &beside)) {
            self.speaker.say(&FromJail::WrongInput)?;
            return Err(Stopped { reason: format!("cannot {reason}"), findings: never(0) });
        }
        let mut world = match raise(self.order, &scenario, scratch) {
            Ok(world) => world,
            Err(NoWorld::Lacking(reason)) => {
                self.speaker.say(&FromJail::Lacking(reason.clone()))?;
                return Err(Stopped { reason: format!("cannot {reason}"), findings: never(0) });
            }
            Err(NoWorld::Failed(reason)) => {
                self.keep_rest(scratch);
                return Err(Stopped { reason: why(format!("cannot {reason}")), findings: never(0) });
            }
        };
        if self.keep.is_some() || self.order.only.is_some() {
            world.keep_frames();
        }
        self.speaker.tell(Event::LabReady {
            scenario: self.order.scenario.clone(),
            seconds: self.begun.elapsed().as_secs_f64(),
            vms: scenario.topology.vms.len(),
            hosts: scenario.topology.hosts.len(),
        })?;
        let idle = without_expectations(&scenario).filter(|_| self.order.proving.is_none());
        let mut ended = Ok(idle.into_iter().collect());
        for (at, step) in steps.iter().enumerate() {
            if let Err(reason) = self.step(&mut world, step) {
                self.keep.iter().for_each(|keep| keep.stopped(&mut world, step));
                ended = Err(Stopped { reason: why(reason), findings: never(at) });
                break;
            }
            if self.order.fail_fast && self.findings > 0 {
                break;
            }
        }
        if let Some(only) = self.order.only.as_ref().filter(|_| !halts()) {
            self.speaker.say(&FromJail::Packets(world.packets((&only.source, &only.destination))?))?;
        }
        if !halts() {
            self.finish(&mut world)?;
        }
        if ended.is_err() || self.findings > 0 {
            self.keep_rest(scratch);
        }
        ended
    }

    fn step(&mut self, world: &mut World, step: &PlannedStep) -> Result<(), String> {
        let begun = Instant::now();
        world.begin(step)?;
        world.carry_out(step)?;
        let change_seconds = begun.elapsed().as_secs_f64();
        let (observation, mut figures) = world.observe(step)?;
        if halts() {
            // Its waits were cut short: nothing of it is judged.
            return Err(REASON.to_owned());
        }
        figures.change_seconds = change_seconds;
        self.complete(world);
        self.pending.push_back(Seen { step: step.clone(), observation, figures });
        self.judge(world, false)
    }

    /// What is left is judged once every agent can speak again; and if none can, as it is.
    fn finish(&mut self, world: &mut World) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = world.recover() {
            tracing::warn!(error, "agents could not tell the rest");
        }
        self.complete(world);
        self.judge(world, true)
    }

    /// Lets earlier steps hear what has been told in this one.
    fn complete(&mut self, world: &World) {
        for seen in &mut self.pending {
            world.complete(&mut seen.observation);
        }
    }

    /// Judges the steps for which all words are there, in their order; at the end, all.
    fn judge(&mut self, world: &mut World, all: bool) -> Result<(), String> {
        while let Some(seen) = self.pending.pop_front() {
            if seen.observation.is_pending() && !all {
                self.pending.push_front(seen);
                break;
            }
            let (cells, findings) = judge_step(&seen.step, &seen.observation);
            let (mut findings, known) = set_apart(&seen.step, findings, Timestamp::now());
            self.findings += findings.len();
            // Of a step that had to wait, nothing is left on the wires.
            let is_newest = self.pending.is_empty();
            if let Some(keep) = self.keep.as_ref().filter(|_| is_newest && !findings.is_empty()) {
                keep.step(world, &seen.step, &findings);
            }
            if is_newest {
                world.look_again(&seen.step, &mut findings);
            }
            let pause = self.order.pause.as_ref().filter(|_| is_newest && !findings.is_empty());
            self.speaker.tell(Event::StepFinished {
                scenario: self.order.scenario.clone(),
                step: seen.step.name.to_string(),
                generation: seen.observation.published,
                cells,
                findings,
                known,
                figures: seen.figures,
            })?;
            if let Some(socket) = pause {
                living::pause((&self.order.scenario, &seen.step), socket, world, self.speaker)?;
            }
        }
        Ok(())
    }

    fn keep_rest(&self, scratch: &Path) {
        self.keep.iter().for_each(|keep| keep.end(self.order, scratch));
    }
}

/// Why a scenario was not run to its end; what failed because it was interrupted says nothing.
fn why(reason: String) -> String {
    if halts() { REASON.to_owned() } else { reason }
}

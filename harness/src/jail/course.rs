//! The course of one scenario: raise its world, go through its steps, judge each, and tell everything as it happens.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use policy::Timestamp;
use reports::event::{Event, Finding, ScenarioOutcome};

use super::protocol::{Order, Speaker};
use crate::plan::{PlannedStep, plan};
use crate::scenario::{Scenario, parse};
use crate::state::State;
use crate::world::{Programs, World};

/// Runs a scenario to its end, whatever that is.
pub(super) fn run(order: &Order, scratch: &Path, speaker: &mut Speaker<'_>) -> Result<(), String> {
    let begun = Instant::now();
    let mut course = Course { order, speaker, begun, findings: 0 };
    let ended = course.go(scratch);
    let (outcome, reason) = match ended {
        Ok(()) if course.findings == 0 => (ScenarioOutcome::Passed, None),
        Ok(()) => (ScenarioOutcome::Failed, None),
        Err(reason) => (ScenarioOutcome::Error, Some(reason)),
    };
    let scenario = order.scenario.clone();
    let seconds = begun.elapsed().as_secs_f64();
    speaker.tell(Event::ScenarioFinished { scenario, outcome, seconds, reason, findings: Vec::new() })
}

/// Reads the scenario and the policies beside it.
pub(super) fn read(order: &Order) -> Result<Scenario, String> {
    let folder = order.path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut open = |name: &str| fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
    parse(&order.scenario.file, &order.text, &mut open).map_err(|errors| format!("read the scenario: {errors}"))
}

/// Raises the world of a scenario's first state.
pub(super) fn raise(order: &Order, scenario: &Scenario, scratch: &Path) -> Result<World, String> {
    let state = Arc::new(State::initial(scenario));
    let programs =
        Programs { exe: order.exe.clone(), agent: order.agent.clone(), agent_args: order.agent_args.clone() };
    World::raise(state, scenario.topology.neighbours, programs, scratch)
}

struct Course<'a, 'b> {
    order: &'a Order,
    speaker: &'a mut Speaker<'b>,
    begun: Instant,
    findings: usize,
}

impl Course<'_, '_> {
    fn go(&mut self, scratch: &Path) -> Result<(), String> {
        let scenario = read(self.order)?;
        let steps = plan(&scenario, Timestamp::now());
        let names = steps.iter().map(|step| step.name.to_string()).collect();
        self.speaker.tell(Event::ScenarioStarted { scenario: self.order.scenario.clone(), steps: names })?;
        let mut world = raise(self.order, &scenario, scratch)?;
        self.speaker.tell(Event::LabReady {
            scenario: self.order.scenario.clone(),
            seconds: self.begun.elapsed().as_secs_f64(),
            vms: scenario.topology.vms.len(),
            hosts: scenario.topology.hosts.len(),
        })?;
        let ended = steps.iter().try_for_each(|step| self.step(&mut world, step));
        if ended.is_err() || self.findings > 0 {
            self.keep_logs(&world);
        }
        ended
    }

    fn step(&mut self, world: &mut World, step: &PlannedStep) -> Result<(), String> {
        let begun = Instant::now();
        world.begin(step)?;
        world.carry_out(step)?;
        let change_seconds = begun.elapsed().as_secs_f64();
        let (observation, mut figures) = world.observe(step)?;
        figures.change_seconds = change_seconds;
        let (cells, findings): (_, Vec<Finding>) = super::naive::judge(step, &observation);
        self.findings += findings.len();
        self.speaker.tell(Event::StepFinished {
            scenario: self.order.scenario.clone(),
            step: step.name.to_string(),
            generation: observation.published,
            cells,
            findings,
            figures,
        })
    }

    /// Copies the programs' logs to where they outlive the jail.
    fn keep_logs(&self, world: &World) {
        let Some(report) = &self.order.report_dir else { return };
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let folder = report.join("logs").join(self.order.scenario.name.chars().map(plain).collect::<String>());
        let made = fs::create_dir_all(&folder);
        for (name, log) in world.logs() {
            let kept = made
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(|()| fs::copy(&log, folder.join(format!("{name}.log"))).map_err(|error| error.to_string()));
            if let Err(error) = kept {
                tracing::warn!(name, error, "a log could not be kept");
            }
        }
    }
}

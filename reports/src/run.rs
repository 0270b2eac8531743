//! A whole run as one value, gathered from its events.

use serde::Serialize;

use crate::event::{Cell, Event, Figures, Finding, ScenarioId, ScenarioOutcome};
use crate::known::Known;
use crate::topology::Topology;

/// A run, or as much of one as has been told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The scenarios, in the order in which the run was given them.
    pub scenarios: Vec<Scenario>,
    /// The seed.
    pub seed: u64,
    /// How many ran at once.
    pub jobs: usize,
    /// By the oracle alone.
    pub model: bool,
    /// Wall seconds; `None` while the run has not ended.
    pub seconds: Option<f64>,
    /// It was interrupted.
    pub interrupted: bool,
}

/// A scenario of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Which.
    pub id: ScenarioId,
    /// What stands before its first step.
    pub topology: Topology,
    /// The names of its steps, those that were not reached as well.
    pub planned: Vec<String>,
    /// The steps that were judged.
    pub steps: Vec<Step>,
    /// How it ended; `None` while it has not.
    pub ended: Option<ScenarioOutcome>,
    /// Wall seconds; 0 while it has not ended.
    pub seconds: f64,
    /// The cause of `error` or `skipped`.
    pub reason: Option<String>,
    /// Findings that belong to no step.
    pub findings: Vec<Finding>,
}

/// A step that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The published generation.
    pub generation: u64,
    /// Every probed cell.
    pub cells: Vec<Cell>,
    /// What was not as expected.
    pub findings: Vec<Finding>,
    /// What was not, as is known.
    pub known: Vec<Known>,
    /// Its figures.
    pub figures: Figures,
}

/// The sums of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Scenarios given.
    pub scenarios: usize,
    /// … of which passed.
    pub passed: usize,
    /// … of which had findings.
    pub failed: usize,
    /// … of which could not be carried out, or did not end.
    pub error: usize,
    /// … of which were left out.
    pub skipped: usize,
    /// Cells probed.
    pub cells: usize,
    /// Findings.
    pub findings: usize,
    /// What was not as expected, as is known.
    pub known: usize,
    /// Probes settled once more (0 is expected).
    pub again: u64,
    /// Waits that a last-resort clock ended (0 is expected).
    pub by_clock: u64,
}

/// How a run ended, and so the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// All as expected.
    AsExpected,
    /// Something was not as expected.
    Findings,
    /// It was interrupted, or its end was never told.
    Interrupted,
}

impl Step {
    /// The generation under which the finding's cell was judged; the step's where it is about no cell.
    pub(crate) fn generation_of(&self, finding: &Finding) -> u64 {
        let cell = self.cells.iter().find(|cell| {
            Some(&cell.source) == finding.source.as_ref()
                && Some(&cell.destination) == finding.destination.as_ref()
                && Some(&cell.service) == finding.service.as_ref()
                && Some(cell.family) == finding.family
        });
        cell.map_or(self.generation, |cell| cell.generation)
    }
}

impl Scenario {
    fn new(id: &ScenarioId) -> Self {
        Self {
            id: id.clone(),
            topology: Topology::default(),
            planned: Vec::new(),
            steps: Vec::new(),
            ended: None,
            seconds: 0.0,
            reason: None,
            findings: Vec::new(),
        }
    }

    /// How it ended; a scenario whose end was never told is an error.
    #[must_use]
    pub fn outcome(&self) -> ScenarioOutcome {
        self.ended.unwrap_or(ScenarioOutcome::Error)
    }

    /// Why it is an error or was skipped.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self.ended {
            None => Some("it did not end: the run was interrupted"),
            Some(_) => self.reason.as_deref(),
        }
    }

    /// All its findings, those of the steps first.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.steps.iter().flat_map(|step| &step.findings).chain(&self.findings)
    }

    /// What was not as expected in its steps, as is known.
    pub fn known(&self) -> impl Iterator<Item = &Known> {
        self.steps.iter().flat_map(|step| &step.known)
    }

    /// How many cells were probed.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.steps.iter().map(|step| step.cells.len()).sum()
    }
}

impl Run {
    /// Takes in one event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { version: _, scenarios, seed, jobs, model } => {
                *self = Self { seed: *seed, jobs: *jobs, model: *model, ..Self::default() };
                self.scenarios.extend(scenarios.iter().map(Scenario::new));
            }
            Event::ScenarioStarted { scenario, steps, topology } => {
                let scenario = self.scenario(scenario);
                scenario.planned.clone_from(steps);
                scenario.topology.clone_from(topology);
            }
            Event::LabReady { scenario, seconds: _, vms: _, hosts: _ } => {
                self.scenario(scenario);
            }
            Event::StepFinished { scenario, step, generation, cells, findings, known, figures } => {
                let step = Step {
                    name: step.clone(),
                    generation: *generation,
                    cells: cells.clone(),
                    findings: findings.clone(),
                    known: known.clone(),
                    figures: figures.clone(),
                };
                self.scenario(scenario).steps.push(step);
            }
            Event::ScenarioFinished { scenario, outcome, seconds, reason, findings } => {
                let scenario = self.scenario(scenario);
                scenario.ended = Some(*outcome);
                scenario.seconds = *seconds;
                scenario.reason.clone_from(reason);
                scenario.findings.clone_from(findings);
            }
            Event::RunFinished { seconds, interrupted } => {
                self.seconds = Some(*seconds);
                self.interrupted = *interrupted;
            }
        }
    }

    /// How it ended.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        let totals = self.totals();
        if self.interrupted || self.seconds.is_none() {
            Conclusion::Interrupted
        } else if totals.failed + totals.error + totals.findings > 0 {
            Conclusion::Findings
        } else {
            Conclusion::AsExpected
        }
    }

    /// The sums so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { scenarios: self.scenarios.len(), ..Totals::default() };
        for scenario in &self.scenarios {
            match scenario.outcome() {
                ScenarioOutcome::Passed => totals.passed += 1,
                ScenarioOutcome::Failed => totals.failed += 1,
                ScenarioOutcome::Error => totals.error += 1,
                ScenarioOutcome::Skipped => totals.skipped += 1,
            }
            totals.cells += scenario.cells();
            totals.findings += scenario.all_findings().count();
            for step in &scenario.steps {
                totals.known += step.known.len();
                totals.again += step.figures.again;
                totals.by_clock += step.figures.by_clock;
            }
        }
        totals
    }

    pub(crate) fn find(&self, id: &ScenarioId) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.id == *id)
    }

    fn scenario(&mut self, id: &ScenarioId) -> &mut Scenario {
        let at = self.scenarios.iter().position(|scenario| scenario.id == *id).unwrap_or_else(|| {
            self.scenarios.push(Scenario::new(id));
            self.scenarios.len() - 1
        });
        &mut self.scenarios[at]
    }
}

//! The outer side of a run: starts one jail per scenario, several at once, and forwards their events in order.

use std::path::PathBuf;

use policy::FlowService;
use reports::event::{Cell, Event, ScenarioId, ScenarioOutcome};

/// One scenario to run. The jail reads and parses the text again: both sides share the parser, not memory.
#[derive(Clone, Debug)]
pub struct Job {
    /// How events name it.
    pub scenario: ScenarioId,
    /// The file from which relative names (policies, includes) are resolved.
    pub path: PathBuf,
    /// The scenario's text.
    pub text: String,
    /// It may not run beside others (floods and storms).
    pub exclusive: bool,
}

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How many scenarios run at once; `None` for the number of CPUs.
    pub jobs: Option<usize>,
    /// The seed of every random choice.
    pub seed: u64,
    /// Where logs of failed scenarios are kept.
    pub report_dir: Option<PathBuf>,
    /// The binary that holds `jail`, `center serve` and `agent run`.
    pub exe: PathBuf,
    /// Another binary for the agents (a saboteur).
    pub agent: Option<PathBuf>,
    /// Arguments put before `agent run …`'s own (the saboteur's `--kind`).
    pub agent_args: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct RunOutcome {
    /// Each scenario's outcome, in the order given.
    pub outcomes: Vec<(ScenarioId, ScenarioOutcome)>,
    /// Ctrl-C or SIGTERM ended it: exit code 130.
    pub interrupted: bool,
}

/// Why no run was possible at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The environment lacks something.
    #[error("cannot start a lab: {0}")]
    Environment(String),
    /// The harness itself failed.
    #[error("cannot run: {0}")]
    Harness(String),
}

/// Runs scenarios, each in a jail of its own, and hands every event to `sink` as it comes.
///
/// # Errors
/// When no jail can be started.
pub fn run(_jobs: Vec<Job>, _options: &RunOptions, _sink: &mut dyn FnMut(Event)) -> Result<RunOutcome, RunError> {
    Err(RunError::Harness("packets are not wired up yet".into()))
}

/// Probes every ordered pair of a scenario's state before its first step with real packets.
///
/// # Errors
/// When the lab cannot be raised or the scenario cannot be carried out.
pub fn reach_packets(_job: Job, _services: &[FlowService], _options: &RunOptions) -> Result<Vec<Cell>, RunError> {
    Err(RunError::Harness("packets are not wired up yet".into()))
}

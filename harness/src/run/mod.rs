//! The outer side of a run: starts one jail per scenario, several at once, and forwards their events in order.

mod only;
mod pool;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use policy::{Flow, FlowService};
use reports::event::{Cell, Event, ScenarioId, ScenarioOutcome};
use serde::{Deserialize, Serialize};

pub use self::only::Only;
use self::pool::Pool;
use crate::plan::Visits;
use crate::prove::Proving;
use crate::scenario::Variant;
use crate::world::Programs;

/// One scenario to run. The jail reads and parses the text again: both sides share the parser, not memory.
#[derive(Clone, Debug)]
pub struct Job {
    /// How events name it.
    pub scenario: ScenarioId,
    /// The file from which relative names (policies, includes) are resolved.
    pub path: PathBuf,
    /// The scenario's text.
    pub text: Arc<str>,
    /// Which of the file's trials it is.
    pub variant: Variant,
    /// In which order its states are visited.
    pub visits: Visits,
    /// It may not run beside others (floods and storms).
    pub exclusive: bool,
    /// One of its policies is another.
    pub instead: Option<Instead>,
}

/// A policy that stands in the place of another wherever a scenario has that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instead {
    /// The text of the scenario's own.
    pub from: String,
    /// The text that is published, and judged by.
    pub to: String,
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
    /// The programs under test.
    pub programs: Programs,
    /// End a scenario behind its first step with findings.
    pub fail_fast: bool,
    /// Start no scenario behind one that did not pass.
    pub until_failure: bool,
    /// Behind each step with findings the run waits.
    pub pause: Option<Pause>,
    /// This flow alone is probed, and its packets are shown.
    pub only: Option<Only>,
    /// What is probed beside what scenarios ask for, to prove their policies.
    pub proving: Option<Proving>,
}

impl RunOptions {
    /// One scenario at a time with this very program, and nothing more.
    #[must_use]
    pub fn plain(exe: PathBuf, seed: u64) -> Self {
        let programs = Programs { exe, agent: None, agent_args: Vec::new(), agent_only: None, sabotage: None };
        Self {
            jobs: Some(1),
            seed,
            report_dir: None,
            programs,
            fail_fast: false,
            until_failure: false,
            pause: None,
            only: None,
            proving: None,
        }
    }
}

/// A run that waits behind steps with findings, with their worlds as they stand: [`crate::living::ask`] speaks with them.
#[derive(Clone)]
pub struct Pause {
    /// Where the world listens; nothing is there yet. One that waits at a time.
    pub socket: PathBuf,
    /// Called once it does, with the scenario and the step. The run goes on when the world was asked to end.
    pub meanwhile: Meanwhile,
}

/// What is done while a run waits.
pub type Meanwhile = Arc<dyn Fn(&ScenarioId, &str) + Send + Sync>;

impl std::fmt::Debug for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pause").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Why a scenario was not run behind one that did not pass.
pub const BEHIND_A_FAILURE: &str = "not run: one before it did not pass";

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct RunOutcome {
    /// Each scenario's outcome, in the order given.
    pub outcomes: Vec<(ScenarioId, ScenarioOutcome)>,
    /// A file that a scenario names is wrong, as only another program knows: exit code 2.
    pub wrong_input: bool,
    /// All that did not pass needs more than this machine has: exit code 3.
    pub lacking: bool,
    /// The packets of the one flow that was probed, a line each.
    pub packets: Vec<String>,
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
pub fn run(jobs: Vec<Job>, options: &RunOptions, sink: &mut dyn FnMut(Event)) -> Result<RunOutcome, RunError> {
    let begun = Instant::now();
    let at_once = options.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)).max(1);
    let scenarios = jobs.iter().map(|job| job.scenario.clone()).collect();
    sink(Event::RunStarted { version: 1, scenarios, seed: options.seed, jobs: at_once, model: false });
    let outcome = Pool::new(options, at_once)?.work(jobs, sink)?;
    sink(Event::RunFinished { seconds: begun.elapsed().as_secs_f64(), interrupted: outcome.interrupted });
    Ok(outcome)
}

/// Probes every ordered pair of a scenario's state before its first step with real packets.
///
/// # Errors
/// When the lab cannot be raised or the scenario cannot be carried out.
pub fn reach_packets(job: Job, services: &[FlowService], options: &RunOptions) -> Result<Vec<Cell>, RunError> {
    Pool::new(options, 1)?.reach(job, Probing::Pairs(services.to_vec()))
}

/// Probes single flows of a scenario's topology under a policy of its own; the cells come in the flows' order. An address that
/// no endpoint has gets one outside.
///
/// # Errors
/// When the lab cannot be raised, or a flow's address can stand nowhere.
pub fn flows_packets(job: Job, policy: String, flows: Vec<Flow>, options: &RunOptions) -> Result<Vec<Cell>, RunError> {
    let flows = flows.into_iter().map(|flow| (flow.source, flow.destination, flow.service)).collect();
    Pool::new(options, 1)?.reach(job, Probing::Flows { policy, flows })
}

/// What is probed in the state before the first step, and nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Probing {
    /// Every ordered pair, for these services.
    Pairs(Vec<FlowService>),
    /// These flows, under this policy.
    Flows {
        /// The policy's text.
        policy: String,
        /// Source, destination, service.
        flows: Vec<(IpAddr, IpAddr, FlowService)>,
    },
}

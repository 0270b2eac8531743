//! The stream of events of a run: what happened, as owned serialisable values. Every format is a fold over it.

use policy::{End, Family};
use serde::{Deserialize, Serialize};

use crate::delays::Delays;
use crate::diagnosis::Blame;
use crate::known::{Known, Tag};
use crate::topology::Topology;

/// The version of the stream's format that this build writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// One event. The recorded stream (JSON lines) is enough to render every report again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// The run began.
    RunStarted {
        /// The version of the stream's format.
        version: u32,
        /// The scenarios, in the order in which they were given.
        scenarios: Vec<ScenarioId>,
        /// The seed of the run.
        seed: u64,
        /// How many scenarios run at once.
        jobs: usize,
        /// By the oracle alone.
        model: bool,
    },
    /// A scenario began.
    ScenarioStarted {
        /// Which.
        scenario: ScenarioId,
        /// Its steps' names, `repeat` unrolled.
        steps: Vec<String>,
        /// What stands before its first step; empty in the recordings of older builds.
        #[serde(default)]
        topology: Topology,
    },
    /// The lab stands and every agent holds the first generation.
    LabReady {
        /// Which scenario.
        scenario: ScenarioId,
        /// Seconds since the scenario started.
        seconds: f64,
        /// How many VMs.
        vms: usize,
        /// How many hosts.
        hosts: usize,
    },
    /// A step's state was reached and judged.
    StepFinished {
        /// Which scenario.
        scenario: ScenarioId,
        /// The step's name.
        step: String,
        /// The published generation.
        generation: u64,
        /// Every probed cell with its outcome.
        cells: Vec<Cell>,
        /// What was not as expected.
        findings: Vec<Finding>,
        /// What was not, as is known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known: Vec<Known>,
        /// Figures of the step.
        figures: Figures,
    },
    /// A scenario ended.
    ScenarioFinished {
        /// Which.
        scenario: ScenarioId,
        /// How.
        outcome: ScenarioOutcome,
        /// Wall seconds.
        seconds: f64,
        /// The cause of `error` or `skipped`, for people.
        reason: Option<String>,
        /// Findings that belong to no step (never ran, harness errors).
        findings: Vec<Finding>,
    },
    /// The run ended.
    RunFinished {
        /// Wall seconds.
        seconds: f64,
        /// It was interrupted.
        interrupted: bool,
    },
}

impl Event {
    /// A scenario is left out.
    #[must_use]
    pub fn skipped(scenario: ScenarioId, why: &str) -> Self {
        Self::ScenarioFinished {
            scenario,
            outcome: ScenarioOutcome::Skipped,
            seconds: 0.0,
            reason: Some(why.to_owned()),
            findings: Vec::new(),
        }
    }
}

/// Which scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScenarioId {
    /// Its name.
    pub name: String,
    /// Its file as given.
    pub file: String,
}

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScenarioOutcome {
    /// All as expected.
    Passed,
    /// At least one finding.
    Failed,
    /// It could not be carried out.
    Error,
    /// Left out, with a reason.
    Skipped,
}

/// The kinds of finding: the judge's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Should be intercepted, was delivered.
    Leak,
    /// Should be delivered, was intercepted.
    Overblock,
    /// Intercepted, but not reported.
    Unreported,
    /// Another rule than expected.
    Misattributed,
    /// At the other end than expected.
    Misplaced,
    /// Reported, but did not happen.
    Phantom,
    /// Judged under an older generation than acknowledged.
    Late,
    /// A permitted session broke.
    Disturbed,
    /// The scenario and the oracle differ.
    Disagreement,
    /// Denied where reject was expected, or the reverse.
    WrongAction,
    /// Reached, and nothing listens.
    Refused,
    /// The path is cut or missing.
    Unreachable,
    /// The evidence does not suffice.
    Unproven,
    /// An event, a state or a program was not as expected.
    Unmet,
    /// An expectation never ran, or a scenario has none.
    NotRun,
    /// The harness itself failed.
    HarnessError,
}

/// A verdict word in reports: expected or observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Delivered and answered.
    Allow,
    /// Intercepted without an answer.
    Deny,
    /// Intercepted with an answer.
    Reject,
    /// A living session was cut.
    Cut,
    /// Reached, nothing listens (observed only).
    Refused,
    /// The path is cut (observed, and expected of faults).
    Unreachable,
    /// Not proven (observed only).
    Unproven,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The verdict.
    pub verdict: Word,
    /// The rule, where one is known or claimed.
    pub rule: Option<String>,
    /// The end, for interceptions.
    pub end: Option<End>,
    /// The would-be verdict, where it differs.
    pub would: Option<policy::Would>,
}

/// One probed cell of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The source endpoint.
    pub source: String,
    /// The destination endpoint.
    pub destination: String,
    /// The service, as text.
    pub service: String,
    /// The family.
    pub family: Family,
    /// What was expected.
    pub expected: Side,
    /// What was observed.
    pub observed: Side,
    /// The expectation came from the oracle alone, not from the scenario.
    pub by_oracle: bool,
    /// How the verdict was proven where it was not by records (`by counters`, `by taps`); empty otherwise.
    pub note: String,
    /// The generation under which it was judged.
    pub generation: u64,
    /// Microseconds until it was settled.
    pub settle_us: u64,
}

/// A difference between what was expected and what the witnesses saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its kind.
    pub kind: FindingKind,
    /// The step's name.
    pub step: String,
    /// The expectation as the scenario has it.
    pub expectation: String,
    /// The source endpoint; `None` where it is about no flow.
    pub source: Option<String>,
    /// The destination endpoint.
    pub destination: Option<String>,
    /// The service, as text.
    pub service: Option<String>,
    /// The family.
    pub family: Option<Family>,
    /// What was expected.
    pub expected: Option<Side>,
    /// What was observed.
    pub observed: Option<Side>,
    /// The scenario's line, from 1.
    pub line: usize,
    /// The evidence in words, for people.
    pub detail: String,
    /// Where the cause lies; `None` where the evidence does not tell, and in the recordings of older builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Blame>,
    /// What its expectation is called and whose it is, where the scenario says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

/// Figures of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Seconds for the changes of the step until all agents had acknowledged.
    pub change_seconds: f64,
    /// Seconds from the first probe to the last verdict, records and barriers included.
    pub settle_seconds: f64,
    /// Probes sent.
    pub probes: u64,
    /// Of these, intercepted.
    pub intercepted: u64,
    /// Probes that were undecided and settled once more (0 is expected).
    pub again: u64,
    /// Waits that a last-resort clock ended (0 is expected).
    pub by_clock: u64,
    /// Frames that taps lost (0 is expected).
    pub tap_losses: u64,
    /// `eastwest/invalid` packets counted, shown and not judged.
    pub invalid: u64,
    /// Datagrams of the step's last flood.
    #[serde(default)]
    pub flooded: u64,
    /// How long it took to send them.
    #[serde(default)]
    pub flood_seconds: f64,
    /// Bytes of the step's last bulk transfer.
    #[serde(default)]
    pub carried: u64,
    /// How long it took to carry them.
    #[serde(default)]
    pub carry_seconds: f64,
    /// The share of one processor that the busiest agent used meanwhile.
    #[serde(default)]
    pub busiest_agent: f64,
    /// How long flows outlived the change that revoked them.
    #[serde(default)]
    pub outlived: Option<Delays>,
    /// Packets that people's own programs and a living lab's own traffic sent meanwhile, as agents told: they are not judged.
    #[serde(default, skip_serializing_if = "is_none")]
    pub own: u64,
}

/// Only labs have such traffic.
fn is_none(own: &u64) -> bool {
    *own == 0
}

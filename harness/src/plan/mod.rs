//! The plan: every step's expectations as single cells, with what the oracle says of each. It is made before anything runs.

mod cells;
mod claims;
mod complete;
mod detected;
pub(crate) mod ends;
pub(crate) mod fold;
mod services;
pub(crate) mod sessions;
mod visits;

use std::net::IpAddr;
use std::sync::Arc;

use policy::{Family, FlowService, Name, Problems, Timestamp, Verdict};
use reports::event::{Finding, FindingKind, Side};

use crate::scenario::{Claim, Doing, Expectation, Expected, Scenario, SessionClaim, Stream};
use crate::state::{State, Transition};

pub use ends::{ends, ruling};
pub use services::probed;
pub use visits::Visits;
pub(crate) use visits::{is_settled, way};

/// The whole plan of a scenario at an instant (`until` of rules is judged by it).
#[must_use]
pub fn plan(scenario: &Scenario, now: Timestamp) -> Vec<PlannedStep> {
    fold::steps(scenario, now, &mut Problems::default())
}

/// Reports what is wrong with a scenario's expectations: names that are not there, conflicts, gaps in what is complete.
pub(crate) fn check(scenario: &Scenario, problems: &mut Problems) {
    fold::steps(scenario, Timestamp::UNIX_EPOCH, problems);
}

/// One step as it is to be run; a step with `repeat` makes several.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    /// The step's index in the scenario.
    pub index: usize,
    /// Its name; with ` (2 of 3)` behind it where it repeats.
    pub name: Arc<str>,
    /// Its line in the file.
    pub line: usize,
    /// The state before it.
    pub before: Arc<State>,
    /// What is done before the step begins, and is no part of it.
    pub prelude: Vec<PlannedAct>,
    /// What is done, in order.
    pub acts: Vec<PlannedAct>,
    /// The state at its end, in which the cells are judged.
    pub state: Arc<State>,
    /// What is probed once the state stands.
    pub cells: Vec<PlannedCell>,
    /// What is probed continuously while `acts` run.
    pub throughout: Vec<PlannedCell>,
    /// Every session that is open at its end: traffic goes both ways on each before it is judged.
    pub sessions: Vec<PlannedSession>,
    /// Expectations about records, agents and generations.
    pub events: Vec<Expectation>,
    /// Those of its expectations that something stands beside.
    pub marked: Vec<Expectation>,
    /// Differences between scenario and oracle, decided without a packet.
    pub findings: Vec<Finding>,
    /// Cells that nothing lists and that were left out beyond the cap.
    pub left_out: usize,
}

impl PlannedStep {
    /// Whether an expectation asks that accounts balance.
    #[must_use]
    pub fn wants_balance(&self) -> bool {
        self.events.iter().any(|event| event.claim == Claim::Balanced)
    }

    /// Whether what the center holds is to be looked at.
    #[must_use]
    pub fn wants_memory(&self) -> bool {
        self.events.iter().any(|event| matches!(event.claim, Claim::CenterBelow { .. }))
    }

    /// The VMs of whose ports an expectation asks what they stopped.
    pub fn wants_stopped(&self) -> impl Iterator<Item = &Name> {
        self.events.iter().filter_map(|event| {
            let Claim::PortStopped { vm, .. } = &event.claim else { return None };
            Some(vm)
        })
    }

    /// Whether an expectation asks how large a packet may be on the path of a session.
    #[must_use]
    pub fn wants_path_mtu(&self, session: &str) -> bool {
        self.events.iter().any(|event| matches!(&event.claim, Claim::PathMtu { name, .. } if name == session))
    }
}

/// One item of `do` with what it makes of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedAct {
    /// The item.
    pub doing: Doing,
    /// The difference that it makes to topology, inventory and policy.
    pub transition: Transition,
    /// The state behind it.
    pub state: Arc<State>,
}

/// Where an expectation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The step's name.
    pub step: Arc<str>,
    /// The line in the scenario, from 1; the step's own for a cell that nothing lists.
    pub line: usize,
    /// The expectation as the scenario has it; empty for a cell that nothing lists.
    pub text: Arc<str>,
}

/// One cell: one flow to probe, and what it should meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCell {
    /// The source endpoint.
    pub source: Name,
    /// The destination endpoint.
    pub destination: Name,
    /// The service.
    pub service: FlowService,
    /// The family.
    pub family: Family,
    /// The address that it leaves from.
    pub source_address: IpAddr,
    /// The address that it is sent to.
    pub destination_address: IpAddr,
    /// What is expected: what the scenario claims, completed from the oracle where it claims nothing.
    pub expected: Side,
    /// What the scenario itself claims; `None` for a cell that is left to the oracle.
    pub claimed: Option<Expected>,
    /// What each managed end should decide.
    pub ends: Ends,
    /// For a cell of `throughout`: what the ends decided in the states on the way, which are right answers as well.
    pub also: Vec<Ends>,
    /// The lab has cut the path between the two.
    pub cut: bool,
    /// Where the expectation stands.
    pub origin: Origin,
}

impl PlannedCell {
    /// Whether the oracle alone says what is expected.
    #[must_use]
    pub fn by_oracle(&self) -> bool {
        self.claimed.is_none()
    }

    /// A finding about it.
    pub(crate) fn finding(&self, kind: FindingKind, observed: Option<Side>, detail: String) -> Finding {
        Finding {
            kind,
            step: self.origin.step.to_string(),
            expectation: self.origin.text.to_string(),
            source: Some(self.source.to_string()),
            destination: Some(self.destination.to_string()),
            service: Some(self.service.to_string()),
            family: Some(self.family),
            expected: Some(self.expected.clone()),
            observed,
            line: self.origin.line,
            detail,
            diagnosis: None,
            tag: None,
        }
    }
}

/// What the oracle says of both ends; `None` for an unmanaged end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The source's decision.
    pub source: Option<Decision>,
    /// The destination's decision, if the packet came up to it.
    pub destination: Option<Decision>,
}

/// What one end decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule.
    pub rule: String,
    /// What it would decide with every monitor rule live, where that differs: verdict and rule.
    pub would: Option<(Verdict, String)>,
}

/// One open session and what should have come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSession {
    /// The session's name.
    pub name: String,
    /// Its flow.
    pub stream: Stream,
    /// What is expected of it.
    pub expected: SessionClaim,
    /// The scenario claims it, and not the oracle alone.
    pub claimed: bool,
    /// It was cut in an earlier step, and stays so: no new record is due.
    pub was_cut: bool,
    /// What each managed end decides of its flow in this state.
    pub ends: Ends,
    /// What each managed end had admitted it by, when it last lived.
    pub admitted: Ends,
    /// The lab has cut the path.
    pub cut: bool,
    /// Where the expectation stands.
    pub origin: Origin,
}

//! A run by the oracle alone: no lab, no privileges. And who can reach whom by the same means.

use std::time::Instant;

use policy::{End, Family, Flow, FlowService, Name, Timestamp, Verdict, Would};
use reports::event::{Cell, Event, Figures, Finding, ScenarioId, ScenarioOutcome};
use reports::known::Known;
use serde::{Deserialize, Serialize};

use crate::judge::{excuse, without_expectations};
use crate::plan::{PlannedCell, PlannedStep, ends, plan, ruling};
use crate::prove::{Proving, TooMany, proving};
use crate::scenario::Scenario;
use crate::state::State;

/// What the note of a cell says that the oracle alone judged.
const NOTE: &str = "by the oracle";

/// The events of one scenario, judged by the oracle alone. Expectations of sessions are compared with the oracle as well;
/// those of records, agents and generations cannot be checked and are counted in the scenario's `reason`.
#[must_use]
pub fn run(scenario: &Scenario, id: &ScenarioId, now: Timestamp) -> Vec<Event> {
    told(scenario, id, plan(scenario, now), without_expectations(scenario), now)
}

/// The same with what proves the scenario's policies.
///
/// # Errors
/// When that would be more probes than may be.
pub fn prove(scenario: &Scenario, id: &ScenarioId, how: Proving, now: Timestamp) -> Result<Vec<Event>, TooMany> {
    Ok(told(scenario, id, proving(scenario, now, how)?, None, now))
}

fn told(
    scenario: &Scenario,
    id: &ScenarioId,
    steps: Vec<PlannedStep>,
    idle: Option<Finding>,
    now: Timestamp,
) -> Vec<Event> {
    let began = Instant::now();
    let names = steps.iter().map(|step| step.name.to_string()).collect();
    let topology = scenario.topology.told();
    let mut events = vec![Event::ScenarioStarted { scenario: id.clone(), steps: names, topology }];
    let unchecked: usize = steps.iter().map(|step| step.events.len()).sum();
    let findings: Vec<Finding> = idle.into_iter().collect();
    let mut passed = findings.is_empty();
    for mut step in steps {
        let findings = std::mem::take(&mut step.findings);
        let (plain, known) = excuse(&step, findings, now);
        passed &= plain.is_empty();
        events.push(finished(id, &step, plain, known));
    }
    events.push(Event::ScenarioFinished {
        scenario: id.clone(),
        outcome: if passed { ScenarioOutcome::Passed } else { ScenarioOutcome::Failed },
        seconds: began.elapsed().as_secs_f64(),
        reason: (unchecked > 0).then(|| format!("{unchecked} expectations of records or agents need packets")),
        findings,
    });
    events
}

fn finished(id: &ScenarioId, step: &PlannedStep, findings: Vec<Finding>, known: Vec<Known>) -> Event {
    Event::StepFinished {
        scenario: id.clone(),
        step: step.name.to_string(),
        generation: 0,
        cells: step.cells.iter().map(cell).collect(),
        findings,
        known,
        figures: Figures::default(),
    }
}

fn cell(planned: &PlannedCell) -> Cell {
    Cell {
        source: planned.source.to_string(),
        destination: planned.destination.to_string(),
        service: planned.service.to_string(),
        family: planned.family,
        expected: planned.expected.clone(),
        observed: ends::expected(None, &planned.ends, planned.cut),
        by_oracle: planned.by_oracle(),
        note: NOTE.to_owned(),
        generation: 0,
        settle_us: 0,
    }
}

/// One cell of `reach`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachCell {
    /// The source endpoint.
    pub source: String,
    /// The destination endpoint.
    pub destination: String,
    /// The service, as text.
    pub service: String,
    /// The family.
    pub family: Family,
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that decided (semantics 35).
    pub rule: Option<String>,
    /// The end that intercepts; `None` for an allow.
    pub end: Option<End>,
    /// The would-be verdict, where it differs.
    pub would: Option<Would>,
}

/// Who can speak to whom in a state, by the oracle: every ordered pair of endpoints, in each family that both have.
#[must_use]
pub fn reach(state: &State, services: &[FlowService], now: Timestamp) -> Vec<ReachCell> {
    let mut cells = Vec::new();
    for source in state.endpoints() {
        for destination in state.endpoints().filter(|destination| *destination != source) {
            for family in state.families(source, destination) {
                let possible = services.iter().copied().filter(|service| service.exists_in(family));
                cells.extend(
                    possible.filter_map(|service| reached(state, (source, destination), (service, family), now)),
                );
            }
        }
    }
    cells
}

fn reached(
    state: &State,
    (source, destination): (&Name, &Name),
    (service, family): (FlowService, Family),
    now: Timestamp,
) -> Option<ReachCell> {
    let flow =
        Flow { source: state.address(source, family)?, destination: state.address(destination, family)?, service };
    let ruling = ruling(&ends::ends(state, source, destination, &flow, now));
    Some(ReachCell {
        source: source.to_string(),
        destination: destination.to_string(),
        service: service.to_string(),
        family,
        verdict: ruling.verdict,
        rule: ruling.rule,
        end: ruling.end,
        would: ruling.would,
    })
}

//! A first judge: verdicts alone, from sockets and records.

use policy::{Action, End};
use reports::event::{Cell, Finding, FindingKind, Side, Word};

use crate::evidence::{Client, Evidence, Observation, Testimony};
use crate::plan::{PlannedCell, PlannedStep};

/// Judges a step.
pub(super) fn judge(step: &PlannedStep, observation: &Observation) -> (Vec<Cell>, Vec<Finding>) {
    let pairs = step.cells.iter().zip(&observation.probes);
    let cells: Vec<Cell> = pairs.map(|(cell, evidence)| one(cell, evidence, observation.published)).collect();
    let findings = cells.iter().zip(&step.cells).zip(&observation.probes).filter_map(|((cell, planned), evidence)| {
        let same = cell.expected.verdict == cell.observed.verdict && cell.expected.rule == cell.observed.rule;
        (!same).then(|| finding(step, planned, cell, evidence))
    });
    let findings = step.findings.iter().cloned().chain(findings).collect();
    (cells, findings)
}

fn one(cell: &PlannedCell, evidence: &Evidence, generation: u64) -> Cell {
    Cell {
        source: cell.source.to_string(),
        destination: cell.destination.to_string(),
        service: format!("{:?}", cell.service),
        family: cell.family,
        expected: cell.expected.clone(),
        observed: observed(evidence),
        by_oracle: cell.by_oracle(),
        note: String::new(),
        generation,
        settle_us: evidence.settle_us,
    }
}

fn observed(evidence: &Evidence) -> Side {
    let denied = |end: &Option<Testimony>, at: End| {
        let record = end.iter().flat_map(|end| &end.records).find(|record| record.verdict != Action::Allow)?;
        let verdict = if record.verdict == Action::Deny { Word::Deny } else { Word::Reject };
        Some(Side { verdict, rule: Some(record.rule.clone()), end: Some(at), would: None })
    };
    let allowed = |end: &Option<Testimony>| end.iter().flat_map(|end| &end.records).map(|r| r.rule.clone()).next();
    if evidence.delivered && evidence.client == Client::Answered {
        let rule = allowed(&evidence.destination_end).or_else(|| allowed(&evidence.source_end));
        return Side { verdict: Word::Allow, rule, end: None, would: None };
    }
    denied(&evidence.source_end, End::Source)
        .or_else(|| denied(&evidence.destination_end, End::Destination))
        .unwrap_or(Side { verdict: Word::Unproven, rule: None, end: None, would: None })
}

fn finding(step: &PlannedStep, planned: &PlannedCell, cell: &Cell, evidence: &Evidence) -> Finding {
    Finding {
        kind: FindingKind::Unproven,
        step: step.name.to_string(),
        expectation: planned.origin.text.to_string(),
        source: Some(cell.source.clone()),
        destination: Some(cell.destination.clone()),
        service: Some(cell.service.clone()),
        family: Some(cell.family),
        expected: Some(cell.expected.clone()),
        observed: Some(cell.observed.clone()),
        line: planned.origin.line,
        detail: format!("{evidence:?}"),
    }
}

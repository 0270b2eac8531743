//! A whole step: every cell, every session, every event, and records of things that never were.

use policy::{Builtin, Name};
use reports::event::{Cell, Finding, FindingKind};
use wire::{Kind, Record};

use super::{diagnosis, event, judge, judge_session};
use crate::evidence::{Evidence, Observation, Probe, Undone};
use crate::plan::{PlannedCell, PlannedStep};
use crate::scenario::{Action, Doing, Scenario, Step};

/// How many findings of one kind a cell of `throughout` may bring.
const OF_A_KIND: usize = 1;

/// Judges all that was seen of a step. Differences between scenario and oracle are among the findings.
#[must_use]
pub fn judge_step(step: &PlannedStep, seen: &Observation) -> (Vec<Cell>, Vec<Finding>) {
    let (mut cells, mut findings) = (Vec::new(), step.findings.clone());
    for planned in &step.cells {
        match seen.probes.iter().rev().find(|evidence| is_of(planned, &evidence.probe)) {
            Some(evidence) => {
                let (cell, wrong) = judge(planned, evidence);
                cells.push(cell);
                findings.extend(wrong);
            }
            None => findings.push(not_run(planned, "no probe of it was sent")),
        }
    }
    for planned in &step.throughout {
        throughout(planned, &seen.throughout, &mut cells, &mut findings);
    }
    for session in &step.sessions {
        match seen.sessions.iter().find(|evidence| evidence.name == session.name) {
            Some(evidence) => {
                let (cell, wrong) = judge_session(session, evidence);
                cells.push(cell);
                findings.extend(wrong);
            }
            None => {
                findings.push(bare(step, FindingKind::NotRun, format!("session `{}` was not driven", session.name)))
            }
        }
    }
    findings.extend(step.events.iter().filter_map(|expectation| event::judge(step, expectation, seen)));
    findings.extend(seen.strays.iter().filter_map(|record| stray(step, record)));
    findings.extend(seen.undone.iter().map(|undone| otherwise(step, undone)));
    diagnosis::complete(&mut findings);
    (cells, findings)
}

fn is_of(cell: &PlannedCell, probe: &Probe) -> bool {
    let named = |name: &Name, text: &str| name.as_str() == text;
    named(&cell.source, &probe.source)
        && named(&cell.destination, &probe.destination)
        && cell.service == probe.service
        && cell.family == probe.family
        && cell.source_address == probe.source_address
}

/// A cell of `throughout` is one cell however often it was probed: the first that failed, else the last.
fn throughout(planned: &PlannedCell, seen: &[Evidence], cells: &mut Vec<Cell>, findings: &mut Vec<Finding>) {
    let judged: Vec<(Cell, Vec<Finding>)> = seen
        .iter()
        .filter(|evidence| is_of(planned, &evidence.probe))
        .map(|evidence| judge(planned, evidence))
        .collect();
    let failed = judged.iter().filter(|(_, wrong)| !wrong.is_empty()).count();
    let shown = judged.iter().find(|(_, wrong)| !wrong.is_empty()).or(judged.last());
    let Some((cell, wrong)) = shown else {
        findings.push(not_run(planned, "no probe of it was sent while the step was under way"));
        return;
    };
    cells.push(Cell { note: format!("throughout: {} probes", judged.len()), ..cell.clone() });
    for finding in wrong.iter().take(OF_A_KIND) {
        let detail = format!("{failed} of {} probes failed; the first: {}", judged.len(), finding.detail);
        findings.push(Finding { detail, ..finding.clone() });
    }
}

fn not_run(cell: &PlannedCell, why: &str) -> Finding {
    cell.finding(FindingKind::NotRun, None, why.to_owned())
}

/// A finding about no flow.
pub(super) fn bare(step: &PlannedStep, kind: FindingKind, detail: String) -> Finding {
    Finding {
        kind,
        step: step.name.to_string(),
        expectation: String::new(),
        source: None,
        destination: None,
        service: None,
        family: None,
        expected: None,
        observed: None,
        line: step.line,
        detail,
        diagnosis: None,
        tag: None,
    }
}

/// An item of `do` that came out otherwise.
fn otherwise(step: &PlannedStep, undone: &Undone) -> Finding {
    let Undone { kind, line, item, why } = undone.clone();
    Finding { line, expectation: item, ..bare(step, kind, why) }
}

/// A record that matches nothing that was sent.
fn stray(step: &PlannedStep, record: &Record) -> Option<Finding> {
    match record.kind {
        Kind::Barrier | Kind::Invalid | Kind::Alert | Kind::Aggregated | Kind::Suppressed => None,
        Kind::Gap => {
            let lost = format!("`{}` lost {} records: {}", record.key.vm, record.packets, record.detail);
            Some(bare(step, FindingKind::Unproven, lost))
        }
        Kind::Tamper => {
            let told = format!("`{}` says that others changed its tables: {}", record.key.vm, record.detail);
            Some(bare(step, FindingKind::Phantom, told))
        }
        Kind::Allow | Kind::Deny | Kind::Cut if record.rule == Builtin::Invalid.name() => None,
        Kind::Allow | Kind::Deny | Kind::Cut => {
            let told = format!("reported, and nothing of the kind was sent: {}", event::words(record));
            Some(bare(step, FindingKind::Phantom, told))
        }
    }
}

/// The findings of a step that never ran: each expectation of it.
#[must_use]
pub fn never_ran(step: &PlannedStep) -> Vec<Finding> {
    let why = "the step never ran";
    let mut findings: Vec<Finding> = Vec::new();
    for cell in step.cells.iter().chain(&step.throughout).filter(|cell| !cell.by_oracle()) {
        findings.push(not_run(cell, why));
    }
    let sessions = step.sessions.iter().filter(|session| session.claimed);
    let texts = sessions.map(|session| (session.origin.text.to_string(), session.origin.line));
    let events = step.events.iter().map(|expectation| (expectation.text.clone(), expectation.line));
    for (expectation, line) in texts.chain(events) {
        findings.push(Finding { expectation, line, ..bare(step, FindingKind::NotRun, why.to_owned()) });
    }
    findings
}

/// A scenario that expects nothing proves nothing.
#[must_use]
pub fn without_expectations(scenario: &Scenario) -> Option<Finding> {
    let claims = |doing: &Doing| matches!(doing.action, Action::Exec(_) | Action::Bulk(_));
    let expects = |step: &Step| {
        !step.expect.is_empty()
            || !step.throughout.is_empty()
            || step.same_as.is_some()
            || step.doing.iter().any(claims)
    };
    if scenario.steps.iter().any(expects) {
        return None;
    }
    Some(Finding {
        kind: FindingKind::NotRun,
        step: String::new(),
        expectation: String::new(),
        source: None,
        destination: None,
        service: None,
        family: None,
        expected: None,
        observed: None,
        line: scenario.steps.first().map_or(1, |step| step.line),
        detail: "the scenario expects nothing".to_owned(),
        diagnosis: None,
        tag: None,
    })
}

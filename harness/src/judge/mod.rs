//! The judge: a pure function from expectation and evidence to outcome and findings (design.md 5; semantics 8, 13, 20, 22–28, 31, 35).
//!
//! A cell passes by positive evidence alone. What an outcome rests on stands in [`outcome`]; what is compared with the
//! expectation then stands in [`compare`]. These pieces are redundant on purpose, so their loss alone fails nothing:
//! for an allowed probe the fence, the listener's self-test and frames that taps lost (the nonce came back, and both taps
//! saw it); for an intercepted probe the allow record of the end before the one that intercepted; for a probe intercepted
//! at the source, the fence where the lab itself has cut the path (nothing left, so no answer can be under way).

mod agents;
mod compare;
mod detail;
mod diagnosis;
mod event;
mod foreign;
mod known;
mod outcome;
pub(crate) mod programs;
mod rules;
mod session;
mod step;

use policy::End;
use reports::event::{Cell, Finding, FindingKind, Word};

use crate::evidence::{Evidence, Testimony};
use crate::plan::{Decision, Ends, PlannedCell, ends};

pub(crate) use diagnosis::seen_again;
pub use known::{excuse, set_apart};
pub use session::judge_session;
pub use step::{judge_step, never_ran, without_expectations};

/// Judges one probe: the cell as reports show it, and what was not as expected.
#[must_use]
pub fn judge(cell: &PlannedCell, evidence: &Evidence) -> (Cell, Vec<Finding>) {
    let judged = verdict(cell, evidence);
    if judged.1.is_empty() || cell.also.is_empty() {
        return judged;
    }
    let others = cell.also.iter().map(|ends| verdict(&under(cell, ends), evidence));
    others.into_iter().find(|(_, findings)| findings.is_empty()).unwrap_or(judged)
}

/// The same cell as judged under what the ends decided on the way.
fn under(cell: &PlannedCell, decided: &Ends) -> PlannedCell {
    let expected = ends::expected(cell.claimed.as_ref(), decided, cell.cut);
    PlannedCell { ends: decided.clone(), expected, also: Vec::new(), ..cell.clone() }
}

fn verdict(cell: &PlannedCell, evidence: &Evidence) -> (Cell, Vec<Finding>) {
    let seen = outcome::settle(cell, evidence);
    let observed = seen.side();
    let shown = Cell {
        source: cell.source.to_string(),
        destination: cell.destination.to_string(),
        service: cell.service.to_string(),
        family: cell.family,
        expected: cell.expected.clone(),
        observed: observed.clone(),
        by_oracle: cell.by_oracle(),
        note: seen.note().to_owned(),
        generation: seen.generation().unwrap_or(evidence.published),
        settle_us: evidence.settle_us,
    };
    let faults = compare::faults(cell, evidence, &seen);
    let finding = |fault: Fault| {
        let cause = diagnosis::of(fault.kind, cell, evidence, &seen);
        let detail = format!("{}\n{}", fault.why, detail::of(cell, evidence));
        let mut finding = cell.finding(fault.kind, Some(observed.clone()), detail);
        cause.iter().for_each(|(cause, why)| finding.diagnose(*cause, why));
        finding
    };
    (shown, faults.into_iter().map(finding).collect())
}

/// What is wrong with a cell, before it is dressed as a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    kind: FindingKind,
    why: String,
}

impl Fault {
    fn new(kind: FindingKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}

/// The managed ends of a probe with what was testified there and what the oracle decides there.
fn managed<'c, 'e>(ends: &'c Ends, evidence: &'e Evidence) -> Vec<(End, &'e Testimony, Option<&'c Decision>)> {
    let source = evidence.source_end.as_ref().map(|testimony| (End::Source, testimony, ends.source.as_ref()));
    let destination =
        evidence.destination_end.as_ref().map(|testimony| (End::Destination, testimony, ends.destination.as_ref()));
    source.into_iter().chain(destination).collect()
}

/// Whether a word expects an interception.
fn is_interception(word: Word) -> bool {
    matches!(word, Word::Deny | Word::Reject)
}

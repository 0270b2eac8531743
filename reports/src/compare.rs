//! Two runs compared: what fails that did not, what passes that did not, what is new, and what is gone.

use std::collections::BTreeSet;

use crate::event::{Finding, FindingKind, ScenarioId, ScenarioOutcome};
use crate::run::{Run, Scenario};

/// What became of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Not as expected, and was before.
    NewlyFailing,
    /// As expected, and was not before.
    NewlyPassing,
    /// Not as expected, as before.
    StillFailing,
    /// The earlier run did not have it.
    New,
    /// Only the earlier run had it.
    Gone,
    /// Left out, and ran before.
    LeftOut,
    /// It passed, and was left out before.
    TakenIn,
    /// As before.
    Same,
}

/// A scenario of two runs.
#[derive(Clone, Debug)]
pub(crate) struct Compared<'a> {
    pub(crate) id: &'a ScenarioId,
    /// Its place in the later run.
    pub(crate) number: Option<usize>,
    pub(crate) change: Change,
    pub(crate) now: Option<ScenarioOutcome>,
    pub(crate) before: Option<ScenarioOutcome>,
    /// How many findings it has, and how many of them the earlier run did not have.
    pub(crate) findings: usize,
    pub(crate) new_findings: usize,
}

/// The scenarios of the later run in their order, then those that are gone.
pub(crate) fn compare<'a>(now: &'a Run, before: &'a Run) -> Vec<Compared<'a>> {
    let pairs: Vec<Option<&Scenario>> = now.scenarios.iter().map(|scenario| partner(scenario, now, before)).collect();
    let mut all: Vec<Compared<'a>> =
        now.scenarios.iter().zip(&pairs).enumerate().map(|(at, (one, other))| pair(at, one, *other)).collect();
    let paired: BTreeSet<&ScenarioId> = pairs.iter().flatten().map(|scenario| &scenario.id).collect();
    all.extend(before.scenarios.iter().filter(|scenario| !paired.contains(&scenario.id)).map(gone));
    all
}

/// The same scenario of the earlier run: of the same name and file, or else of the same name if only one has it, for files
/// move and runs start in other folders.
fn partner<'a>(scenario: &Scenario, now: &Run, before: &'a Run) -> Option<&'a Scenario> {
    let alone = |run: &'a Run| {
        let mut named = run.scenarios.iter().filter(|other| other.id.name == scenario.id.name);
        named.next().filter(|_| named.next().is_none())
    };
    let once = now.scenarios.iter().filter(|other| other.id.name == scenario.id.name).count() == 1;
    before.find(&scenario.id).or_else(|| alone(before).filter(|_| once))
}

fn pair<'a>(number: usize, now: &'a Scenario, before: Option<&Scenario>) -> Compared<'a> {
    let known: BTreeSet<_> = before.iter().flat_map(|scenario| scenario.all_findings()).map(mark).collect();
    Compared {
        id: &now.id,
        number: Some(number),
        change: change(now.outcome(), before.map(Scenario::outcome)),
        now: Some(now.outcome()),
        before: before.map(Scenario::outcome),
        findings: now.all_findings().count(),
        new_findings: now.all_findings().filter(|finding| !known.contains(&mark(finding))).count(),
    }
}

fn gone(before: &Scenario) -> Compared<'_> {
    Compared {
        id: &before.id,
        number: None,
        change: Change::Gone,
        now: None,
        before: Some(before.outcome()),
        findings: 0,
        new_findings: 0,
    }
}

fn change(now: ScenarioOutcome, before: Option<ScenarioOutcome>) -> Change {
    use ScenarioOutcome::{Error, Failed, Passed, Skipped};
    match (before, now) {
        (None, _) => Change::New,
        (Some(Failed | Error), Failed | Error) => Change::StillFailing,
        (Some(Passed | Skipped), Failed | Error) => Change::NewlyFailing,
        (Some(Failed | Error), Passed) => Change::NewlyPassing,
        (Some(Skipped), Passed) => Change::TakenIn,
        (Some(Passed | Failed | Error), Skipped) => Change::LeftOut,
        (Some(Passed), Passed) | (Some(Skipped), Skipped) => Change::Same,
    }
}

/// What makes a finding the same in both runs; lines and evidence may differ.
fn mark(finding: &Finding) -> (FindingKind, &str, String, &str) {
    (finding.kind, &finding.step, finding.flow_and_family(), &finding.expectation)
}

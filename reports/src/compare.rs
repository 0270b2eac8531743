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

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The earlier run did not have it.
    New,
    /// It was tried again, and is no more.
    Gone,
    /// Both runs have it.
    Still,
    /// The later run did not come so far.
    Untried,
}

impl Fate {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Still => "still there",
            Self::Untried => "not tried again",
        }
    }
}

/// The findings of two runs, each once, with the scenario that has it: of the later run where both have it.
pub(crate) fn drift<'a>(now: &'a Run, before: &'a Run) -> Vec<(Fate, &'a Scenario, &'a Finding)> {
    let mut all = Vec::new();
    let mut rest: Vec<&Scenario> = before.scenarios.iter().collect();
    for scenario in &now.scenarios {
        let earlier = partner(scenario, now, before);
        rest.retain(|other| earlier.is_none_or(|earlier| earlier.id != other.id));
        let known: BTreeSet<_> = earlier.iter().flat_map(|scenario| scenario.all_findings()).map(mark).collect();
        let here: BTreeSet<_> = scenario.all_findings().map(mark).collect();
        all.extend(once(scenario).map(|finding| {
            let fate = if known.contains(&mark(finding)) { Fate::Still } else { Fate::New };
            (fate, scenario, finding)
        }));
        let lost = earlier.into_iter().flat_map(|earlier| once(earlier).map(move |finding| (earlier, finding)));
        all.extend(lost.filter(|(_, finding)| !here.contains(&mark(finding))).map(|(earlier, finding)| {
            let fate = if is_tried(scenario, finding) { Fate::Gone } else { Fate::Untried };
            (fate, earlier, finding)
        }));
    }
    let rest = rest.into_iter().flat_map(|scenario| once(scenario).map(move |finding| (scenario, finding)));
    all.extend(rest.map(|(scenario, finding)| (Fate::Untried, scenario, finding)));
    all
}

/// Its findings, each once.
fn once(scenario: &Scenario) -> impl Iterator<Item = &Finding> {
    let mut seen = BTreeSet::new();
    scenario.all_findings().filter(move |finding| seen.insert(mark(finding)))
}

/// Whether a scenario came to where it had a finding before.
fn is_tried(scenario: &Scenario, finding: &Finding) -> bool {
    let ran = matches!(scenario.outcome(), ScenarioOutcome::Passed | ScenarioOutcome::Failed);
    ran && !scenario.planned.iter().skip(scenario.steps.len()).any(|step| *step == finding.step)
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

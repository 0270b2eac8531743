//! The run as one JSON object, for programs.

use std::io::{self, Write};

use policy::Family;
use serde::Serialize;

use crate::diagnosis::Blame;
use crate::event::{Event, Finding, FindingKind, ScenarioOutcome, Side};
use crate::known::{Known, Tag};
use crate::run::{Run, Scenario, Totals};

/// Gathers a run and writes it as one JSON object.
#[derive(Clone, Debug, Default)]
pub struct Json {
    run: Run,
}

impl Json {
    /// Takes in one event.
    pub fn event(&mut self, event: &Event) {
        self.run.event(event);
    }

    /// Writes the object, with a newline behind it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(self, mut writer: impl Write) -> io::Result<()> {
        let object = Object {
            scenarios: self.run.scenarios.iter().map(ScenarioObject::of).collect(),
            totals: self.run.totals(),
        };
        serde_json::to_writer(&mut writer, &object)?;
        writer.write_all(b"\n")?;
        writer.flush()
    }
}

#[derive(Serialize)]
struct Object<'a> {
    scenarios: Vec<ScenarioObject<'a>>,
    totals: Totals,
}

#[derive(Serialize)]
struct ScenarioObject<'a> {
    name: &'a str,
    file: &'a str,
    outcome: ScenarioOutcome,
    seconds: f64,
    /// Why it was not run to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    findings: Vec<FindingObject<'a>>,
    /// What is known to fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    known: Vec<KnownObject<'a>>,
}

#[derive(Serialize)]
struct KnownObject<'a> {
    ticket: &'a str,
    until: &'a str,
    #[serde(flatten)]
    finding: FindingObject<'a>,
}

#[derive(Serialize)]
struct FindingObject<'a> {
    kind: FindingKind,
    step: &'a str,
    expectation: &'a str,
    source: Option<&'a str>,
    destination: Option<&'a str>,
    service: Option<&'a str>,
    family: Option<Family>,
    expected: Option<&'a Side>,
    observed: Option<&'a Side>,
    line: usize,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Blame>,
    /// What the expectation is called, and whose it is.
    #[serde(flatten)]
    tag: Option<&'a Tag>,
}

impl<'a> ScenarioObject<'a> {
    fn of(scenario: &'a Scenario) -> Self {
        Self {
            name: &scenario.id.name,
            file: &scenario.id.file,
            outcome: scenario.outcome(),
            seconds: scenario.seconds,
            reason: scenario.reason.as_deref(),
            findings: scenario.all_findings().map(FindingObject::of).collect(),
            known: scenario.known().map(KnownObject::of).collect(),
        }
    }
}

impl<'a> KnownObject<'a> {
    fn of(known: &'a Known) -> Self {
        let Known { ticket, until, finding } = known;
        Self { ticket, until, finding: FindingObject::of(finding) }
    }
}

impl<'a> FindingObject<'a> {
    fn of(finding: &'a Finding) -> Self {
        let Finding { kind, step, expectation, source, destination, service, family, .. } = finding;
        let Finding { expected, observed, line, detail, diagnosis, tag, .. } = finding;
        Self {
            kind: *kind,
            step,
            expectation,
            source: source.as_deref(),
            destination: destination.as_deref(),
            service: service.as_deref(),
            family: *family,
            expected: expected.as_ref(),
            observed: observed.as_ref(),
            line: *line,
            detail,
            diagnosis: *diagnosis,
            tag: tag.as_ref(),
        }
    }
}

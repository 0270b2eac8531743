//! The run in the Test Anything Protocol, version 14: a test point for each scenario, a subtest for its steps.

use std::io::{self, Write};

use crate::event::{Event, Finding, ScenarioOutcome};
use crate::known::{Expected, by_expectation};
use crate::run::{Run, Scenario};

/// Gathers a run and writes it as TAP.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    run: Run,
}

impl Tap {
    /// Takes in one event.
    pub fn event(&mut self, event: &Event) {
        self.run.event(event);
    }

    /// Writes the document.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(self, mut writer: impl Write) -> io::Result<()> {
        writeln!(writer, "TAP version 14\n1..{}", self.run.scenarios.len())?;
        for (at, scenario) in self.run.scenarios.iter().enumerate() {
            write!(writer, "{}", point(at + 1, scenario))?;
        }
        writeln!(writer, "# {}; {}", line(&self.run.outcomes()), line(&self.run.circumstances()))?;
        if self.run.interrupted || self.run.seconds.is_none() {
            writeln!(writer, "Bail out! the run was interrupted")?;
        }
        writer.flush()
    }
}

/// A scenario's point, with the subtest of its steps before it.
fn point(number: usize, scenario: &Scenario) -> String {
    let name = description(&scenario.id.name);
    let cause = scenario.cause().unwrap_or_default();
    match scenario.outcome() {
        ScenarioOutcome::Skipped => format!("ok {number} - {name} # SKIP {}\n", line(cause)),
        ScenarioOutcome::Passed => format!("{}ok {number} - {name}\n{}", subtest(scenario), timed(scenario)),
        ScenarioOutcome::Failed => format!("{}not ok {number} - {name}\n{}", subtest(scenario), timed(scenario)),
        ScenarioOutcome::Error => {
            let told = format!("  ---\n  file: {}\n  message: {}\n  ...\n", yaml(&scenario.id.file), yaml(cause));
            format!("{}not ok {number} - {name}\n{told}", subtest(scenario))
        }
    }
}

fn timed(scenario: &Scenario) -> String {
    format!("  ---\n  file: {}\n  duration_ms: {:.3}\n  ...\n", yaml(&scenario.id.file), scenario.seconds * 1e3)
}

/// What a point tells of.
enum Point<'a> {
    /// What was not as expected there.
    Reached(&'a [Finding]),
    /// What is known to fail: a point of its own.
    Known(Expected<'a>),
    /// It was not reached.
    Missed,
}

/// The points of the steps, those that were not reached as well, and of what belongs to no step.
fn subtest(scenario: &Scenario) -> String {
    let mut points: Vec<(&str, Point<'_>)> = Vec::new();
    for step in &scenario.steps {
        points.push((&step.name, Point::Reached(&step.findings)));
        points.extend(by_expectation(&step.known).into_iter().map(|known| (step.name.as_str(), Point::Known(known))));
    }
    points.extend(scenario.planned.iter().skip(scenario.steps.len()).map(|name| (name.as_str(), Point::Missed)));
    if !scenario.findings.is_empty() {
        points.push(("outside its steps", Point::Reached(&scenario.findings)));
    }
    if points.is_empty() {
        return String::new();
    }
    let mut text = format!("# Subtest: {}\n    1..{}\n", description(&scenario.id.name), points.len());
    for (at, (name, findings)) in points.iter().enumerate() {
        let (number, name) = (at + 1, description(name));
        match findings {
            Point::Missed => text.push_str(&format!("    ok {number} - {name} # SKIP it was not reached\n")),
            Point::Known(known) => {
                let known = line(&known.words());
                text.push_str(&format!("    not ok {number} - {name} # todo known as {known}\n"));
            }
            Point::Reached([]) => text.push_str(&format!("    ok {number} - {name}\n")),
            Point::Reached(findings) => {
                text.push_str(&format!("    not ok {number} - {name}\n      ---\n      findings:\n"));
                findings.iter().for_each(|finding| text.push_str(&diagnostic(scenario, finding)));
                text.push_str("      ...\n");
            }
        }
    }
    text
}

/// A finding as an entry of a YAML list.
fn diagnostic(scenario: &Scenario, finding: &Finding) -> String {
    let side = |side: &Option<crate::event::Side>| side.as_ref().map(crate::event::Side::phrase);
    let rows = [
        ("flow", Some(finding.flow_and_family()).filter(|flow| !flow.is_empty())),
        ("expectation", Some(finding.claim().to_owned()).filter(|claim| !claim.is_empty())),
        ("expected", side(&finding.expected)),
        ("observed", side(&finding.observed)),
        ("at", Some(format!("{}:{}", scenario.id.file, finding.line))),
        ("evidence", Some(finding.detail.clone())),
    ];
    let mut text = format!("        - kind: {}\n", finding.kind);
    for (key, value) in rows {
        if let Some(value) = value {
            text.push_str(&format!("          {key}: {}\n", yaml(&value)));
        }
    }
    text
}

/// A scalar of YAML on one line: a string of JSON is one.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A description of a point: no directive may begin in it.
fn description(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('#', "\\#")
}

fn line(text: &str) -> String {
    text.split(['\n', '\r']).collect::<Vec<_>>().join(" ")
}

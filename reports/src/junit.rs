//! The run as JUnit XML: a suite for each scenario, a case for each service of each step and for each other expectation.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::event::{Event, Finding, ScenarioOutcome};
use crate::known::{Expected, by_expectation};
use crate::run::{Run, Scenario, Step};

/// Gathers a run and writes it as JUnit XML.
#[derive(Clone, Debug, Default)]
pub struct Junit {
    run: Run,
}

impl Junit {
    /// Takes in one event.
    pub fn event(&mut self, event: &Event) {
        self.run.event(event);
    }

    /// Writes the document.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(self, mut writer: impl Write) -> io::Result<()> {
        let mut report = Report::new("eastwest");
        report.set_time(duration(self.run.seconds.unwrap_or(0.0)));
        report.add_test_suites(self.run.scenarios.iter().map(suite));
        report.serialize(&mut writer).map_err(io::Error::other)?;
        writer.flush()
    }
}

fn suite(scenario: &Scenario) -> TestSuite {
    let mut suite = TestSuite::new(scenario.id.name.as_str());
    suite.set_time(duration(scenario.seconds));
    suite.add_property(("file", scenario.id.file.as_str()));
    for step in &scenario.steps {
        suite.add_test_cases(step_cases(scenario, step));
        suite.add_test_cases(by_expectation(&step.known).iter().map(|known| known_case(scenario, step, known)));
    }
    for finding in &scenario.findings {
        suite.add_test_case(case(scenario, &finding.expectation, &[finding]));
    }
    suite.add_test_cases(whole(scenario));
    suite
}

/// The case of the scenario itself: where it could not be carried out, was left out, or has nothing else to show.
fn whole(scenario: &Scenario) -> Option<TestCase> {
    let cause = scenario.cause().unwrap_or("no cause was told");
    let status = match scenario.outcome() {
        ScenarioOutcome::Error => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(cause).set_type("error").set_description(cause);
            status
        }
        ScenarioOutcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(cause);
            status
        }
        ScenarioOutcome::Passed | ScenarioOutcome::Failed => return None,
    };
    let mut case = TestCase::new(scenario.id.name.as_str(), status);
    case.set_classname(scenario.id.file.as_str());
    Some(case)
}

/// The cases of a step: one for each service probed, one for each expectation about no flow, or one for the whole step.
fn step_cases(scenario: &Scenario, step: &Step) -> Vec<TestCase> {
    let mut groups: BTreeMap<&str, (usize, Vec<&Finding>)> = BTreeMap::new();
    for cell in &step.cells {
        groups.entry(&cell.service).or_default().0 += 1;
    }
    for finding in &step.findings {
        let group = finding.service.as_deref().unwrap_or(&finding.expectation);
        groups.entry(group).or_default().1.push(finding);
    }
    if groups.is_empty() {
        return vec![case(scenario, &step.name, &[])];
    }
    let cases = groups.into_iter().map(|(group, (cells, findings))| {
        let mut case = case(scenario, &format!("{}: {group}", step.name), &findings);
        case.set_assertions(cells.max(1));
        case
    });
    cases.collect()
}

/// What is known to fail, which counts as left out.
fn known_case(scenario: &Scenario, step: &Step, known: &Expected<'_>) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(format!("known as {}", known.words()));
    let mut case = TestCase::new(format!("{}: {}", step.name, known.first.finding.expectation), status);
    case.set_classname(scenario.id.file.as_str());
    case
}

fn case(scenario: &Scenario, name: &str, findings: &[&Finding]) -> TestCase {
    let mut case = TestCase::new(name, status(scenario, findings));
    case.set_classname(scenario.id.file.as_str());
    case
}

fn status(scenario: &Scenario, findings: &[&Finding]) -> TestCaseStatus {
    let Some(first) = findings.first() else { return TestCaseStatus::success() };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let causes: Vec<String> = findings.iter().map(|finding| cause(scenario, finding)).collect();
    let more = if findings.len() > 1 { format!(" (and {} more)", findings.len() - 1) } else { String::new() };
    status.set_message(format!("{}: {}{more}", first.kind, first.expectation));
    status.set_type(first.kind.as_str());
    status.set_description(causes.join("\n"));
    status
}

fn cause(scenario: &Scenario, finding: &Finding) -> String {
    let mut text = format!("{} at {}:{}: {}\n", finding.kind, scenario.id.file, finding.line, finding.expectation);
    let flow = finding.flow();
    if !flow.is_empty() {
        let family = finding.family.map(|family| format!(" {family}")).unwrap_or_default();
        text.push_str(&format!("  flow      {flow}{family}\n"));
    }
    for (label, side) in [("expected", &finding.expected), (finding.other_side(), &finding.observed)] {
        if let Some(side) = side {
            text.push_str(&format!("  {label}  {}\n", side.phrase()));
        }
    }
    for line in finding.detail.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

//! The run as workflow commands, which GitHub shows as annotations beside the lines of a change.
//!
//! GitHub shows ten errors of a step and drops the others without a word; so no more are written, and the last says how
//! many there are.

use std::io::{self, Write};

use crate::causes::{Cause, causes};
use crate::event::{Event, ScenarioOutcome};
use crate::run::{Run, Scenario};
use crate::words::{bounded, count};

/// How many errors GitHub shows of one step.
const MOST: usize = 10;
/// How many characters of a cause are written.
const LONGEST: usize = 2000;

/// Gathers a run and writes it as workflow commands.
#[derive(Clone, Debug, Default)]
pub struct Github {
    run: Run,
}

/// One annotation, not yet escaped.
struct Annotation {
    file: String,
    line: usize,
    title: String,
    text: String,
}

impl Github {
    /// Takes in one event.
    pub fn event(&mut self, event: &Event) {
        self.run.event(event);
    }

    /// Writes the commands, one a line.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(self, mut writer: impl Write) -> io::Result<()> {
        let mut all = annotations(&self.run);
        let more = if all.len() > MOST { all.split_off(MOST - 1) } else { Vec::new() };
        for annotation in all.iter().chain(rest(&more).as_ref()) {
            writeln!(writer, "{}", annotation.command())?;
        }
        let sums = data(&format!("{}; {}", self.run.outcomes(), self.run.circumstances()));
        writeln!(writer, "::notice title=eastwest::{sums}")?;
        writer.flush()
    }
}

/// All annotations: first one of each scenario, then a second of each, and so on, so that a loud one hides no other.
fn annotations(run: &Run) -> Vec<Annotation> {
    let mut ranked = Vec::new();
    for scenario in &run.scenarios {
        let found = of_scenario(scenario);
        ranked.extend(found.into_iter().enumerate());
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, annotation)| annotation).collect()
}

fn of_scenario(scenario: &Scenario) -> Vec<Annotation> {
    let error = (scenario.outcome() == ScenarioOutcome::Error).then(|| Annotation {
        file: scenario.id.file.clone(),
        line: 1,
        title: format!("error: {}", scenario.id.name),
        text: scenario.cause().unwrap_or("no cause was told").to_owned(),
    });
    let findings = causes(scenario.all_findings());
    error.into_iter().chain(findings.iter().map(|cause| of_cause(scenario, cause))).collect()
}

fn of_cause(scenario: &Scenario, cause: &Cause<'_>) -> Annotation {
    let first = cause.first;
    let mut text = format!("{}, step `{}`: {}\n", scenario.id.name, first.step, first.claim());
    for (label, side) in [("expected", &first.expected), (first.other_side(), &first.observed)] {
        if let Some(side) = side {
            text.push_str(&format!("{label}: {}\n", side.phrase()));
        }
    }
    text.push_str(&first.detail);
    Annotation {
        file: scenario.id.file.clone(),
        line: first.line.max(1),
        title: format!("{}: {}", first.kind, cause.about()),
        text,
    }
}

/// What says how many are not shown, at the place of the first of them.
fn rest(more: &[Annotation]) -> Option<Annotation> {
    let first = more.first()?;
    let mut files: Vec<&str> = more.iter().map(|annotation| annotation.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    Some(Annotation {
        file: first.file.clone(),
        line: first.line,
        title: format!("{} more", count(more.len(), "annotation")),
        text: format!("{}\nnot shown, in: {}", first.title, files.join(", ")),
    })
}

impl Annotation {
    fn command(&self) -> String {
        let Self { file, line, title, text } = self;
        let (file, title) = (property(file), property(title));
        format!("::error file={file},line={line},title={title}::{}", data(&bounded(text.trim_end(), LONGEST)))
    }
}

/// Escapes the text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

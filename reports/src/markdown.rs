//! The run as Markdown, for the comment of a merge request or the summary of a job.
//!
//! Such places take about 65,000 characters and refuse a longer text whole; so it is bounded, and says what it leaves out.

use std::io::{self, Write};

use crate::causes::{Cause, causes};
use crate::compare::{Fate, drift};
use crate::event::{Event, Finding, Side};
use crate::known::by_expectation;
use crate::run::{Run, Scenario};
use crate::words::{bounded, count};

/// How many bytes are written at most, but for the line that says what is left out.
const LONGEST: usize = 60_000;
/// How many findings of a scenario have a row, and how many of their causes are told.
const MOST_ROWS: usize = 40;
const MOST_CAUSES: usize = 10;
/// How many lines and how many characters of a cause are told.
const MOST_LINES: usize = 40;
const MOST_CHARACTERS: usize = 4000;

/// Gathers a run and writes it as Markdown.
#[derive(Clone, Debug, Default)]
pub struct Markdown {
    run: Run,
    baseline: Option<Run>,
}

impl Markdown {
    /// A text that says which findings are new, gone and still there since an earlier run, where there is one.
    #[must_use]
    pub fn compared_with(baseline: Option<Run>) -> Self {
        Self { run: Run::default(), baseline }
    }

    /// Takes in one event.
    pub fn event(&mut self, event: &Event) {
        self.run.event(event);
    }

    /// Writes the text.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(self, mut writer: impl Write) -> io::Result<()> {
        writer.write_all(text(&self.run, self.baseline.as_ref()).as_bytes())?;
        writer.flush()
    }
}

fn text(run: &Run, baseline: Option<&Run>) -> String {
    let totals = run.totals();
    let glyph = if totals.failed + totals.error > 0 { "❌" } else { "✅" };
    let mut text = format!("## {glyph} eastwest: {}\n\n{}", run.outcomes(), run.circumstances());
    text.push_str(&if run.model { ", by the oracle alone.\n".to_owned() } else { format!(", seed {}.\n", run.seed) });
    text.push_str(&baseline.map(|baseline| since(run, baseline)).unwrap_or_default());
    let mut left_out = Vec::new();
    for scenario in run.scenarios.iter().filter(|scenario| scenario.outcome().is_failure()) {
        let section = section(scenario);
        if text.len() + section.len() > LONGEST {
            left_out.push(scenario);
        } else {
            text.push_str(&section);
        }
    }
    text.push_str(&rest(&left_out));
    text.push_str(&known(run));
    text
}

/// What became of findings since an earlier run: those first that a change is answerable for.
fn since(run: &Run, baseline: &Run) -> String {
    let all = drift(run, baseline);
    let kinds = [Fate::New, Fate::Gone, Fate::Still, Fate::Untried];
    let of = |fate: Fate| all.iter().filter(move |(found, ..)| *found == fate);
    let sums: Vec<String> = kinds.map(|fate| format!("{} {}", of(fate).count(), fate.words())).into();
    let mut text = format!("\n### Findings since the baseline: {}\n", sums.join(", "));
    if all.is_empty() {
        return text;
    }
    text.push_str("\n| | finding | flow or expectation | step | where |\n|---|---|---|---|---|\n");
    for (fate, scenario, finding) in kinds.into_iter().flat_map(of).take(MOST_ROWS) {
        let place = code(&format!("{}:{}", scenario.id.file, finding.line));
        let cells =
            [fate.words().to_owned(), finding.kind.to_string(), code(&finding.about()), code(&finding.step), place];
        text.push_str(&format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
    }
    text.push_str(&more(all.len().saturating_sub(MOST_ROWS), "finding"));
    text
}

/// What is known to fail, folded.
fn known(run: &Run) -> String {
    let all: Vec<String> = run
        .scenarios
        .iter()
        .flat_map(|scenario| {
            let place = |line| code(&format!("{}:{line}", scenario.id.file));
            let known = by_expectation(scenario.known()).into_iter();
            known.map(move |known| format!("- {} {}\n", place(known.first.finding.line), code(&known.words())))
        })
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let told: String = all.iter().take(MOST_CAUSES).map(String::as_str).collect();
    let more = more(all.len().saturating_sub(MOST_CAUSES), "expectation");
    format!("\n<details><summary>Known to fail: {}</summary>\n\n{told}{more}\n</details>\n", all.len())
}

fn section(scenario: &Scenario) -> String {
    let mut text =
        format!("\n### {}: {}\n\n{}\n", scenario.outcome(), code(&scenario.id.name), code(&scenario.id.file));
    if let Some(cause) = scenario.cause() {
        text.push_str(&format!("\n{}", fenced(cause)));
    }
    let findings: Vec<&Finding> = scenario.all_findings().collect();
    if !findings.is_empty() {
        text.push_str("\n| finding | flow or expectation | expected | observed | where |\n|---|---|---|---|---|\n");
    }
    for finding in findings.iter().take(MOST_ROWS) {
        text.push_str(&row(scenario, finding));
    }
    text.push_str(&more(findings.len().saturating_sub(MOST_ROWS), "finding"));
    let causes = causes(findings);
    for cause in causes.iter().take(MOST_CAUSES) {
        text.push_str(&details(cause));
    }
    text.push_str(&more(causes.len().saturating_sub(MOST_CAUSES), "cause"));
    text
}

fn row(scenario: &Scenario, finding: &Finding) -> String {
    let [expected, observed] = [&finding.expected, &finding.observed]
        .map(|side| side.as_ref().map_or_else(|| "–".to_owned(), |side: &Side| code(&side.phrase())));
    let place = code(&format!("{}:{}", scenario.id.file, finding.line));
    let cells = [finding.kind.to_string(), code(&finding.about()), expected, observed, place]
        .map(|cell| cell.replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}

/// The evidence of a cause, folded.
fn details(cause: &Cause<'_>) -> String {
    let times = if cause.times() > 1 { format!(", {} times", cause.times()) } else { String::new() };
    let claim = if cause.first.claim().is_empty() {
        String::new()
    } else {
        format!(": <code>{}</code>", escaped(cause.first.claim()))
    };
    let title = format!("{}, step <code>{}</code>{claim}{times}", cause.first.kind, escaped(&cause.first.step));
    format!("\n<details><summary>{title}</summary>\n\n{}\n</details>\n", fenced(&cause.first.detail))
}

fn more(number: usize, noun: &str) -> String {
    if number == 0 { String::new() } else { format!("\n… and {} more, left out for length.\n", count(number, noun)) }
}

/// What was left out whole, by name as far as that is short.
fn rest(left_out: &[&Scenario]) -> String {
    if left_out.is_empty() {
        return String::new();
    }
    let findings = left_out.iter().map(|scenario| scenario.all_findings().count()).sum();
    let names: Vec<String> = left_out.iter().take(20).map(|scenario| code(&scenario.id.name)).collect();
    let others = if left_out.len() > 20 { ", …" } else { "" };
    format!(
        "\n---\nLeft out for length: {} with {}: {}{others}\n",
        count(left_out.len(), "scenario"),
        count(findings, "finding"),
        names.join(", ")
    )
}

/// Text as a code span, which nothing in it can end: no markup, no link and no mention comes of a name.
fn code(text: &str) -> String {
    let text = bounded(&text.split(['\n', '\r']).collect::<Vec<_>>().join(" "), 300);
    if text.trim().is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Text as a block of code, bounded.
fn fenced(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let told = bounded(&lines.iter().take(MOST_LINES).copied().collect::<Vec<_>>().join("\n"), MOST_CHARACTERS);
    let left = lines.len().saturating_sub(MOST_LINES);
    let left = if left > 0 { format!("\n… and {} more", count(left, "line")) } else { String::new() };
    let fence = "`".repeat(longest_run(&told).max(2) + 1);
    format!("{fence}text\n{told}{left}\n{fence}\n")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text between tags, on one line.
fn escaped(text: &str) -> String {
    let text = bounded(&text.split(['\n', '\r']).collect::<Vec<_>>().join(" "), 300);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

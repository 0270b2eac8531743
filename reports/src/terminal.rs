//! The run told to a person: a line for each scenario as it ends, then each failure as a table, then the sums.

use std::io::{self, Write};

use crate::causes::causes;
use crate::delays::Delays;
use crate::event::{Event, Figures, Finding, ScenarioId, ScenarioOutcome, Side};
use crate::known::by_expectation;
use crate::run::{Run, Scenario, Step, Totals};
use crate::table::Table;
use crate::words::count;

/// How a [`Terminal`] writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// With colours (ANSI escapes).
    pub colour: bool,
    /// With one line at the foot that says what runs and is overwritten (only for a real terminal).
    pub live: bool,
}

/// Tells a run to a writer as it goes.
#[derive(Debug)]
pub struct Terminal<W> {
    writer: W,
    manner: Manner,
    run: Run,
}

#[derive(Clone, Copy)]
enum Tint {
    Good,
    Bad,
    Faint,
    Strong,
}

impl<W: Write> Terminal<W> {
    /// A teller into a writer.
    pub fn new(writer: W, manner: Manner) -> Self {
        Self { writer, manner, run: Run::default() }
    }

    /// Takes in one event, and writes what there is to tell of it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        self.run.event(event);
        match event {
            Event::RunStarted { .. } => self.opening(),
            Event::ScenarioStarted { scenario, .. } => self.status(scenario, "the lab comes up"),
            Event::LabReady { scenario, .. } => self.status(scenario, "the lab stands"),
            Event::StepFinished { scenario, step, .. } => self.status(scenario, step),
            Event::ScenarioFinished { scenario, .. } => self.ended(scenario),
            Event::RunFinished { .. } => Ok(()),
        }
    }

    /// Writes the failures and the sums.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(mut self) -> io::Result<()> {
        self.wipe()?;
        let run = std::mem::take(&mut self.run);
        for scenario in run.scenarios.iter().filter(|scenario| scenario.ended.is_some()) {
            self.failure(scenario)?;
        }
        self.lost(&run)?;
        self.summary(&run)?;
        self.writer.flush()
    }

    fn opening(&mut self) -> io::Result<()> {
        let Run { scenarios, jobs, seed, model, .. } = &self.run;
        let manner = if *model { ", by the oracle alone".to_owned() } else { format!(", {jobs} at once, seed {seed}") };
        let line = format!("eastwest: {}{manner}", count(scenarios.len(), "scenario"));
        writeln!(self.writer, "{line}")
    }

    fn status(&mut self, id: &ScenarioId, what: &str) -> io::Result<()> {
        if !self.manner.live {
            return Ok(());
        }
        let ended = self.run.scenarios.iter().filter(|scenario| scenario.ended.is_some()).count();
        let text: String =
            format!("  {ended}/{} {}: {what}", self.run.scenarios.len(), id.name).chars().take(100).collect();
        write!(self.writer, "\r\x1b[K{text}")?;
        self.writer.flush()
    }

    fn wipe(&mut self) -> io::Result<()> {
        if self.manner.live { write!(self.writer, "\r\x1b[K") } else { Ok(()) }
    }

    fn ended(&mut self, id: &ScenarioId) -> io::Result<()> {
        self.wipe()?;
        let Some(scenario) = self.run.find(id).cloned() else { return Ok(()) };
        let (word, tint) = match scenario.outcome() {
            ScenarioOutcome::Passed => ("PASS", Tint::Good),
            ScenarioOutcome::Failed => ("FAIL", Tint::Bad),
            ScenarioOutcome::Error => ("ERROR", Tint::Bad),
            ScenarioOutcome::Skipped => ("SKIP", Tint::Faint),
        };
        let word = self.tint(tint, &format!("{word:>5}"));
        let scope = match scenario.outcome() {
            ScenarioOutcome::Skipped | ScenarioOutcome::Error => String::new(),
            ScenarioOutcome::Passed | ScenarioOutcome::Failed => {
                format!("{}, {}", count(scenario.steps.len(), "step"), count(scenario.cells(), "cell"))
            }
        };
        let cause = scenario.cause().map(first_line).unwrap_or_default();
        let between = if scope.is_empty() || cause.is_empty() { "" } else { "; " };
        let scope = format!("{scope}{between}{cause}");
        let file = self.tint(Tint::Faint, &format!("({}: {scope})", scenario.id.file));
        writeln!(self.writer, "{word} {:>8.3} s  {} {file}", scenario.seconds, scenario.id.name)?;
        for known in by_expectation(scenario.known()) {
            let word = self.tint(Tint::Faint, "known");
            writeln!(self.writer, "      {word} {}:{} {}", id.file, known.first.finding.line, known.words())?;
        }
        for figures in scenario.steps.iter().map(|step| &step.figures) {
            self.figures(figures)?;
        }
        self.writer.flush()
    }

    /// What floods and revocations came to.
    fn figures(&mut self, figures: &Figures) -> io::Result<()> {
        let Figures { flooded, flood_seconds, carried, carry_seconds, busiest_agent, outlived, own, .. } = figures;
        if *carried > 0 {
            let rate = *carried as f64 * 8e-6 / carry_seconds.max(1e-6);
            writeln!(self.writer, "      {carried} bytes in {carry_seconds:.3} s, {rate:.1} Mbit/s")?;
        }
        if let Some(Delays { count, median_ms, p99_ms, most_ms }) = outlived {
            let delays = format!("{median_ms:.1} ms (median), {p99_ms:.1} ms (p99), {most_ms:.1} ms (most)");
            writeln!(self.writer, "      {count} flows outlived what revoked them by {delays}")?;
        } else if *flooded > 0 {
            let rate = *flooded as f64 / flood_seconds.max(0.001);
            let effort = format!("the busiest agent took {:.0} % of a processor", 100.0 * busiest_agent);
            writeln!(self.writer, "      {flooded} datagrams in {flood_seconds:.1} s, {rate:.0} a second; {effort}")?;
        }
        if *own > 0 {
            writeln!(self.writer, "      own traffic: {} told of, and not judged", count(*own as usize, "packet"))?;
        }
        Ok(())
    }

    fn failure(&mut self, scenario: &Scenario) -> io::Result<()> {
        match scenario.outcome() {
            ScenarioOutcome::Passed | ScenarioOutcome::Skipped => return Ok(()),
            ScenarioOutcome::Failed | ScenarioOutcome::Error => {}
        }
        let title = self.tint(Tint::Strong, &format!("{}: {}", scenario.outcome(), scenario.id.name));
        writeln!(self.writer, "\n{title}\n  {}", scenario.id.file)?;
        if let Some(cause) = scenario.cause() {
            self.indented(cause)?;
        }
        for step in scenario.steps.iter().filter(|step| !step.findings.is_empty()) {
            writeln!(self.writer, "\n  step `{}`, generation {}", step.name, step.generation)?;
            self.findings(&scenario.id, &step.findings, Some(step))?;
        }
        if !scenario.findings.is_empty() {
            writeln!(self.writer, "\n  outside its steps")?;
            self.findings(&scenario.id, &scenario.findings, None)?;
        }
        Ok(())
    }

    /// Scenarios whose end was never told; what their steps had found is in the recording.
    fn lost(&mut self, run: &Run) -> io::Result<()> {
        let lost: Vec<&Scenario> = run.scenarios.iter().filter(|scenario| scenario.ended.is_none()).collect();
        if lost.is_empty() {
            return Ok(());
        }
        writeln!(self.writer, "\n{} did not end, and count as errors:", count(lost.len(), "scenario"))?;
        lost.iter().try_for_each(|scenario| writeln!(self.writer, "  {} ({})", scenario.id.name, scenario.id.file))
    }

    fn findings(&mut self, id: &ScenarioId, findings: &[Finding], step: Option<&Step>) -> io::Result<()> {
        let mut table = Table::default();
        table.row(["finding", "flow", "family", "", "verdict", "rule", "end", "would be", "generation", "line"]);
        let compared = findings.iter().filter(|finding| finding.expected.is_some() || finding.observed.is_some());
        compared.for_each(|finding| rows(&mut table, finding, step));
        for (number, line) in table.lines().iter().enumerate().filter(|_| table.len() > 1) {
            let line = if number == 0 { self.tint(Tint::Faint, line) } else { line.clone() };
            writeln!(self.writer, "    {line}")?;
        }
        self.causes(id, findings)
    }

    /// The cause of each finding in words, once for those that have it in common.
    fn causes(&mut self, id: &ScenarioId, findings: &[Finding]) -> io::Result<()> {
        for cause in causes(findings) {
            let first = cause.first;
            let times = if cause.times() > 1 { format!(" ({} times)", cause.times()) } else { String::new() };
            let claim = match first.claim() {
                claim if claim == first.expectation && !claim.is_empty() => format!("`{claim}`"),
                claim => claim.to_owned(),
            };
            let kind = self.tint(Tint::Bad, first.kind.as_str());
            let line = format!("    {kind} {}:{} {claim}{times}", id.file, first.line);
            writeln!(self.writer, "{}", line.trim_end())?;
            self.indented(&first.detail)?;
        }
        Ok(())
    }

    fn indented(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| writeln!(self.writer, "      {line}"))
    }

    fn summary(&mut self, run: &Run) -> io::Result<()> {
        let Totals { failed, error, .. } = run.totals();
        let tint = if failed + error > 0 { Tint::Bad } else { Tint::Good };
        let line = self.tint(tint, &run.outcomes());
        writeln!(self.writer, "\n{line}; {}", run.circumstances())
    }

    fn tint(&self, tint: Tint, text: &str) -> String {
        let code = match tint {
            Tint::Good => "32",
            Tint::Bad => "31",
            Tint::Faint => "2",
            Tint::Strong => "1",
        };
        if self.manner.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn rows(table: &mut Table, finding: &Finding, step: Option<&Step>) {
    let family = finding.family.map(|family| family.to_string()).unwrap_or_default();
    let line = finding.line.to_string();
    let generation = step.map(|step| step.generation_of(finding).to_string()).unwrap_or_default();
    let flow = finding.flow();
    let [verdict, rule, end, would] = side(finding.expected.as_ref());
    let kind = finding.kind.as_str();
    table.row([kind, &flow, &family, "expected", &verdict, &rule, &end, &would, "", &line]);
    let [verdict, rule, end, would] = side(finding.observed.as_ref());
    table.row(["", "", "", finding.other_side(), &verdict, &rule, &end, &would, &generation, ""]);
}

fn side(side: Option<&Side>) -> [String; 4] {
    let Some(Side { verdict, rule, end, would }) = side else { return ["-", "-", "-", "-"].map(str::to_owned) };
    let dash = || "-".to_owned();
    let would = would.as_ref().map(|would| match &would.rule {
        Some(rule) => format!("{} by {rule}", would.verdict),
        None => would.verdict.to_string(),
    });
    [
        verdict.to_string(),
        rule.clone().unwrap_or_else(dash),
        end.map_or_else(dash, |end| end.to_string()),
        would.unwrap_or_else(dash),
    ]
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

//! The run as one HTML file that needs nothing else: no script, no font, no image, nothing from any network.
//!
//! What comes of each part is in a file of its own, in the order of the page: the summary, what changed since an earlier
//! run, the list of scenarios, and each scenario with its drawing, its stories, its truth tables and its delays.

mod changes;
mod drawing;
mod legend;
mod markup;
mod scenario;
mod spread;
mod story;
mod summary;
mod truth;

use std::io::{self, Write};

use crate::event::{Event, ScenarioOutcome};
use crate::run::Run;
use markup::Markup;

const STYLE: &str = include_str!("style.css");

/// Nothing is fetched, run or sent, whatever the page holds; its own style and an empty icon are all that it needs.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// How many bytes a page has at most before truth tables with all as expected are left out.
const MOST_BYTES: usize = 6_000_000;

/// Gathers a run and writes it as an HTML page.
#[derive(Clone, Debug, Default)]
pub struct Html {
    run: Run,
    baseline: Option<Run>,
}

impl Html {
    /// A page that says what changed since an earlier run, where there is one.
    #[must_use]
    pub fn compared_with(baseline: Option<Run>) -> Self {
        Self { run: Run::default(), baseline }
    }

    /// Takes in one event.
    pub fn event(&mut self, event: &Event) {
        self.run.event(event);
    }

    /// Writes the page.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(self, mut writer: impl Write) -> io::Result<()> {
        writer.write_all(page(&self.run, self.baseline.as_ref()).into_string().as_bytes())?;
        writer.flush()
    }
}

fn page(run: &Run, baseline: Option<&Run>) -> Markup {
    let mut page = Markup::default();
    page.constant("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n");
    page.open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]).constant("\n");
    page.constant("<meta name=viewport content=\"width=device-width, initial-scale=1\">\n");
    page.constant("<meta name=color-scheme content=\"light dark\">\n<link rel=icon href=\"data:,\">\n");
    page.element("title", &[], &format!("eastwest: {}", run.outcomes())).constant("\n<style>\n").constant(STYLE);
    page.constant("</style>\n</head>\n<body>\n<a class=skip href=\"#scenarios\">To the scenarios</a>\n");
    summary::write(&mut page, run);
    page.constant("<main>\n");
    if let Some(baseline) = baseline {
        changes::write(&mut page, run, baseline);
    }
    scenario::list(&mut page, run);
    let (told, folded): (Vec<_>, Vec<_>) =
        run.scenarios.iter().enumerate().partition(|(_, one)| one.outcome().is_failure());
    for (number, scenario) in told.into_iter().chain(folded) {
        scenario::write(&mut page, number, scenario);
    }
    legend::write(&mut page, run);
    page.constant("</main>\n</body>\n</html>\n");
    page
}

/// An outcome as a sign and a word, so that its colour says nothing alone.
fn badge(markup: &mut Markup, outcome: ScenarioOutcome) {
    let (class, glyph) = match outcome {
        ScenarioOutcome::Passed => ("good", "✓ "),
        ScenarioOutcome::Failed => ("bad", "✗ "),
        ScenarioOutcome::Error => ("bad", "⚠ "),
        ScenarioOutcome::Skipped => ("faint", "– "),
    };
    markup.within("span", &[("class", class)], |badge| {
        badge.constant(glyph).text(outcome.as_str());
    });
}

//! The list of scenarios, and each of them with its steps.

use std::collections::BTreeMap;

use super::markup::Markup;
use super::truth::{Flow, Links};
use super::{MOST_BYTES, badge, drawing, spread, story, truth};
use crate::causes::{Cause, causes};
use crate::delays::Delays;
use crate::event::ScenarioOutcome;
use crate::known::by_expectation;
use crate::run::{Run, Scenario, Step};
use crate::words::count;

/// How many causes of one step are told at length.
const MOST_STORIES: usize = 60;

/// One row for each scenario, in the order in which the run was given them.
pub(super) fn list(page: &mut Markup, run: &Run) {
    page.constant("<section>\n<h2 id=scenarios>Scenarios</h2>\n<div class=scroll tabindex=0>\n<table class=list>\n");
    page.constant("<tr><th scope=col>outcome<th scope=col>scenario<th scope=col>file");
    page.constant("<th scope=col class=n>steps<th scope=col class=n>flows<th scope=col class=n>findings<th scope=col class=n>seconds\n");
    for (number, scenario) in run.scenarios.iter().enumerate() {
        page.constant("<tr><td>");
        badge(page, scenario.outcome());
        page.constant("<td>");
        page.element("a", &[("href", &format!("#s{number}"))], &scenario.id.name);
        page.constant("<td>").element("code", &[], &scenario.id.file);
        let findings = scenario.all_findings().count();
        for figure in [scenario.steps.len(), scenario.cells(), findings] {
            page.constant("<td class=n>").text(&figure.to_string());
        }
        page.constant("<td class=n>").text(&format!("{:.3}", scenario.seconds)).constant("\n");
    }
    page.constant("</table>\n</div>\n</section>\n");
}

/// A scenario; unfolded where something is not as expected.
pub(super) fn write(page: &mut Markup, number: usize, scenario: &Scenario) {
    let told = scenario.outcome().is_failure();
    page.within(
        "section",
        &[("class", if told { "told" } else { "calm" }), ("id", &format!("s{number}"))],
        |section| {
            section.constant(if told { "<details open><summary>" } else { "<details><summary>" });
            section.within("h2", &[], |title| {
                badge(title, scenario.outcome());
                title.constant(" ").text(&scenario.id.name);
            });
            section.constant("</summary>\n");
            body(section, number, scenario);
            section.constant("</details>\n");
        },
    );
}

fn body(section: &mut Markup, number: usize, scenario: &Scenario) {
    section.within("p", &[("class", "faint")], |line| {
        line.element("code", &[], &scenario.id.file);
        let (steps, cells) = (count(scenario.steps.len(), "step"), count(scenario.cells(), "flow"));
        line.text(&format!(", {steps}, {cells}, {:.3} s{}", scenario.seconds, kinds(scenario)));
    });
    if let Some(cause) = scenario.cause() {
        section.element("pre", &[("tabindex", "0")], cause).constant("\n");
    }
    if scenario.outcome() == ScenarioOutcome::Skipped {
        return;
    }
    drawing::write(section, scenario);
    for (at, step) in scenario.steps.iter().enumerate() {
        write_step(section, &format!("s{number}-{at}"), at, (scenario, step));
    }
    let missed: Vec<&str> = scenario.planned.iter().skip(scenario.steps.len()).map(String::as_str).collect();
    if !missed.is_empty() {
        section.element("p", &[], &format!("Not reached: {}.", missed.join("; ")));
    }
    if !scenario.findings.is_empty() {
        section.constant("<h3>Outside its steps</h3>\n");
        stories(section, &format!("s{number}-x"), &causes(&scenario.findings), (scenario, None));
    }
    spread::write(section, scenario);
}

/// How many findings of each kind: `; 2 leak, 1 unmet`.
fn kinds(scenario: &Scenario) -> String {
    let mut kinds = BTreeMap::new();
    scenario.all_findings().for_each(|finding| *kinds.entry(finding.kind).or_insert(0) += 1);
    let words: Vec<String> = kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
    if words.is_empty() { String::new() } else { format!("; {}", words.join(", ")) }
}

fn write_step(section: &mut Markup, prefix: &str, at: usize, (scenario, step): (&Scenario, &Step)) {
    section.element("h3", &[], &format!("Step {}: {}", at + 1, step.name));
    section.element("p", &[("class", "faint")], &circumstances(step));
    let told = causes(&step.findings);
    stories(section, prefix, &told, (scenario, Some(step)));
    known(section, step);
    if section.len() > MOST_BYTES && step.findings.is_empty() {
        section.constant(
            "<p>All was as expected; its truth tables are left out, because this page is long as it is.</p>\n",
        );
        return;
    }
    truth::write(section, step, &links(prefix, &told, step));
}

/// What is known to fail.
fn known(section: &mut Markup, step: &Step) {
    let all = by_expectation(&step.known);
    if all.is_empty() {
        return;
    }
    section.within("ul", &[], |list| {
        for known in all {
            list.element("li", &[], &format!("⚠ known as {}", known.words()));
        }
    });
}

fn circumstances(step: &Step) -> String {
    let figures = &step.figures;
    let mut text = count(step.cells.len(), "flow");
    if step.generation > 0 {
        text.push_str(&format!(" under generation {} of the policy", step.generation));
    }
    if figures.probes > 0 {
        let (probes, intercepted) = (figures.probes, figures.intercepted);
        text.push_str(&format!("; {probes} probes sent, {intercepted} of them intercepted"));
        let (change, settle) = (figures.change_seconds, figures.settle_seconds);
        text.push_str(&format!("; {change:.3} s for the changes, {settle:.3} s for the proofs"));
    }
    for (number, what) in [
        (figures.again, "settled again"),
        (figures.by_clock, "ended by a clock"),
        (figures.tap_losses, "frames lost by taps"),
        (figures.invalid, "invalid packets"),
        (figures.own, "packets of the lab's own traffic, not judged"),
    ] {
        if number > 0 {
            text.push_str(&format!("; {number} {what}"));
        }
    }
    if figures.flooded > 0 {
        text.push_str(&format!("; a flood of {} datagrams in {:.1} s", figures.flooded, figures.flood_seconds));
    }
    if figures.carried > 0 {
        let rate = figures.carried as f64 * 8e-6 / figures.carry_seconds.max(1e-6);
        text.push_str(&format!("; {} bytes carried at {rate:.1} Mbit/s", figures.carried));
    }
    if let Some(outlived) = &figures.outlived {
        let Delays { count, median_ms, p99_ms, most_ms } = outlived;
        text.push_str(&format!(
            "; {count} flows outlived what revoked them by {median_ms:.1} ms (median), {p99_ms:.1} ms (p99), {most_ms:.1} ms (most)"
        ));
    }
    text
}

/// Each cause at length, as far as they are not too many.
fn stories(section: &mut Markup, prefix: &str, told: &[Cause<'_>], about: (&Scenario, Option<&Step>)) {
    for (number, cause) in told.iter().take(MOST_STORIES).enumerate() {
        story::write(section, &format!("{prefix}-{number}"), about, cause);
    }
    let more = told.len().saturating_sub(MOST_STORIES);
    if more > 0 {
        let said = format!("{} more: `eastwest report render` tells them all.", count(more, "cause"));
        section.element("p", &[], &said);
    }
}

/// Where each finding about a flow is told, and its kind.
fn links<'a>(prefix: &str, told: &[Cause<'a>], step: &'a Step) -> Links<'a> {
    let mut links = Links::new();
    for (number, cause) in told.iter().enumerate() {
        let place = (number < MOST_STORIES).then(|| format!("#{prefix}-{number}"));
        for finding in &cause.all {
            if let Some(flow) = Flow::of_finding(finding) {
                links.entry(flow).or_default().push((finding.kind, place.clone()));
            }
        }
    }
    for finding in step.known.iter().map(|known| &known.finding) {
        if let Some(flow) = Flow::of_finding(finding) {
            links.entry(flow).or_default().push((finding.kind, None));
        }
    }
    links
}

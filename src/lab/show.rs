//! What a living lab has answered, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use harness::living::{Probed, Standing, Station, Talked};
use reports::event::{Cell, Event, ScenarioOutcome, Side, VERSION, Word};
use serde::Serialize;

use crate::args::Format;
use crate::ending::{Ending, Outcome};
use crate::manner::ToldArgs;
use crate::output;
use crate::tellers::Tellers;

/// The lab with its stations, host by host.
pub(super) fn standing(name: &str, standing: &Standing, format: Format) -> Outcome {
    if format == Format::Json {
        output::say_json(standing)?;
        return Ok(Ending::AsExpected);
    }
    let Standing { scenario, generation, steps, center, stations } = standing;
    let mut text = format!("`{name}`: {scenario}; generation {generation}");
    if *steps > 0 {
        let _ = write!(text, ", {steps} step{} done", if *steps == 1 { "" } else { "s" });
    }
    let mut hosts: BTreeMap<&str, Vec<&Station>> = BTreeMap::new();
    stations.iter().for_each(|station| hosts.entry(&station.host).or_default().push(station));
    let wide = stations.iter().map(|station| station.name.len()).max().unwrap_or(0);
    for (host, stations) in hosts {
        let _ = write!(text, "\n  {host}");
        stations.iter().for_each(|station| text.push_str(&line(station, wide)));
    }
    if let Some(center) = center {
        let _ = write!(text, "\n  its center: eastwest center --state {} events --follow", center.display());
    }
    output::say(&format!("{text}\n"));
    Ok(Ending::AsExpected)
}

fn line(station: &Station, wide: usize) -> String {
    let Station { name, host: _, addresses, labels, agent } = station;
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let agent = match agent {
        Some((presence, generation)) => format!("agent {presence}, generation {generation}"),
        None => "no agent".to_owned(),
    };
    let parts = [addresses.join(" "), labels.join(","), agent];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("\n    {name:wide$}  {}", parts.join("  "))
}

#[derive(Serialize)]
struct Objects<'a> {
    probes: &'a [Probed],
}

/// What became of probed flows; where the witnesses saw something else than the policy says, that is a finding.
pub(super) fn probed(probed: &[Probed], format: Format) -> Outcome {
    let as_expected = probed.iter().all(|one| one.findings.is_empty());
    match format {
        Format::Json => output::say_json(&Objects { probes: probed })?,
        Format::Human => output::say(&human(probed)),
    }
    Ok(if as_expected { Ending::AsExpected } else { Ending::Findings })
}

fn human(probed: &[Probed]) -> String {
    let mut text = String::new();
    for (at, Probed { cell, findings, why }) in probed.iter().enumerate() {
        let Cell { source, destination, service, family, observed, expected, .. } = cell;
        let _ = writeln!(text, "{source} -> {destination} {service} {family}: {}", side(observed));
        if !findings.is_empty() {
            let _ = writeln!(text, "  by the policy it should be {}", side(expected));
        }
        let details = findings.iter().flat_map(|finding| finding.detail.lines());
        details.for_each(|line| text.push_str(&format!("    {line}\n")));
        // What holds of both families is said once, behind the last.
        let said_later = probed.get(at + 1).is_some_and(|next| said_alike(&next.why, why));
        if !said_later {
            why.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text
}

/// Whether two explanations differ in nothing but their first lines, which name the flows.
fn said_alike(one: &str, other: &str) -> bool {
    one.lines().skip(1).eq(other.lines().skip(1))
}

fn side(side: &Side) -> String {
    let Side { verdict, rule, end, would: _ } = side;
    let word = match verdict {
        Word::Allow => "allowed",
        Word::Deny => "denied",
        Word::Reject => "rejected",
        Word::Cut => "cut",
        Word::Refused => "reached, and refused: nothing listens",
        Word::Unreachable => "unreachable",
        Word::Unproven => "unproven",
    };
    let rule = rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    let end = end.map(|end| format!(" at the {end}")).unwrap_or_default();
    format!("{word}{rule}{end}")
}

/// What came of a lab's traffic so far.
pub(super) fn traffic(talked: &Talked, format: Format) -> Outcome {
    if format == Format::Json {
        output::say_json(talked)?;
        return Ok(Ending::AsExpected);
    }
    let Talked { rate, flows, sent, answered, refused, unanswered, failed } = talked;
    let mut text = match rate {
        0 => "no traffic".to_owned(),
        rate => format!("{rate} a second of {flows} flows in turn"),
    };
    if *sent > 0 {
        let _ = write!(text, "; {sent} sent: {answered} answered, {refused} refused, {unanswered} unanswered");
    }
    if *failed > 0 {
        let _ = write!(text, ", {failed} could not be sent (the lab's log says why)");
    }
    output::say(&format!("{text}\n"));
    Ok(Ending::AsExpected)
}

/// What came of steps, as a run of them.
pub(super) fn steps(events: &[Event], format: Format) -> Outcome {
    let (mut scenario, mut seconds, mut outcome) = (None, 0.0, ScenarioOutcome::Passed);
    for event in events {
        let Event::StepFinished { scenario: id, figures, findings, .. } = event else { continue };
        scenario = Some(id.clone());
        seconds += figures.change_seconds + figures.settle_seconds;
        if !findings.is_empty() {
            outcome = ScenarioOutcome::Failed;
        }
    }
    let Some(scenario) = scenario else { return Ok(Ending::AsExpected) };
    let scenarios = vec![scenario.clone()];
    let started = Event::RunStarted { version: VERSION, scenarios, seed: 0, jobs: 1, model: false };
    let finished = Event::ScenarioFinished { scenario, outcome, seconds, reason: None, findings: Vec::new() };
    let mut tellers = Tellers::new(&ToldArgs { report: None, junit: None, format })?;
    tellers.event(&started);
    events.iter().for_each(|event| tellers.event(event));
    tellers.event(&finished);
    tellers.event(&Event::RunFinished { seconds, interrupted: false });
    tellers.finish()
}

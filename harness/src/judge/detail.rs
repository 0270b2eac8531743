//! The evidence in words, for people: one line for each witness.

use policy::End;
use wire::{Kind, Record};

use super::foreign;
use crate::evidence::{Client, Evidence, Fence, Testimony};
use crate::plan::PlannedCell;

/// The evidence of one probe.
pub(super) fn of(cell: &PlannedCell, evidence: &Evidence) -> String {
    let mut lines = vec![
        row("client", client(&evidence.client)),
        row("listener", listener(evidence)),
        row("taps", taps(evidence)),
        row("fence", fence(evidence).to_owned()),
    ];
    for (end, testimony) in [(End::Source, &evidence.source_end), (End::Destination, &evidence.destination_end)] {
        let foreign = || foreign::is_at(cell, evidence, end).then(|| foreign::words(cell, end));
        let said = testimony.as_ref().map(|testimony| testimony_of(testimony, end)).or_else(foreign);
        lines.extend(said.map(|said| row(&end.to_string(), said)));
    }
    lines.join("\n")
}

pub(super) fn row(what: &str, says: String) -> String {
    format!("  {what:<12} {says}")
}

fn client(client: &Client) -> String {
    match client {
        Client::Answered => "answered with the nonce".to_owned(),
        Client::Refused => "refused (RST)".to_owned(),
        Client::Reset => "reset after the connection stood".to_owned(),
        Client::Unreachable(why) => format!("unreachable ({why})"),
        Client::Silence => "silence".to_owned(),
        Client::Failed(why) => format!("failed: {why}"),
    }
}

fn listener(evidence: &Evidence) -> String {
    let got = if evidence.delivered { "received it" } else { "received nothing" };
    let proven = if evidence.listener_proven { "" } else { ", and is not proven" };
    format!("{got}{proven}")
}

fn taps(evidence: &Evidence) -> String {
    let lost = if evidence.tap_losses > 0 { format!(", {} frames lost", evidence.tap_losses) } else { String::new() };
    format!(
        "{} left the source, {} came up to the destination{lost}",
        evidence.left_source, evidence.reached_destination
    )
}

fn fence(evidence: &Evidence) -> &'static str {
    match (evidence.fence, evidence.path_cut) {
        (Fence::NotNeeded, _) => "not needed",
        (Fence::Returned, _) => "returned",
        (Fence::Lost, true) => "lost: the lab has cut the path",
        (Fence::Lost, false) => "lost",
    }
}

/// What one end testifies.
pub(super) fn testimony_of(testimony: &Testimony, end: End) -> String {
    let state = match (testimony.alive, testimony.connected, testimony.barrier) {
        (false, _, _) => "agent dead",
        (true, false, false) => "center out of reach, no barrier",
        (true, true, false) => "no barrier",
        (true, _, true) => "barrier through",
    };
    let mut parts = vec![format!("acked {}", testimony.acked), state.to_owned()];
    match testimony.records.is_empty() {
        true => parts.push("no record".to_owned()),
        false => parts.extend(testimony.records.iter().map(|record| record_in_words(record, end))),
    }
    parts.extend(testimony.counters.iter().cloned());
    parts.extend(testimony.counted.iter().map(|(comment, by)| format!("counted {comment}: {by}")));
    parts.join("; ")
}

fn record_in_words(record: &Record, end: End) -> String {
    let kind = match record.kind {
        Kind::Cut => "cut: ",
        Kind::Invalid => "invalid: ",
        Kind::Gap => "gap: ",
        Kind::Tamper => "tamper: ",
        Kind::Alert => "alert: ",
        Kind::Aggregated => "aggregated: ",
        Kind::Suppressed => "suppressed: ",
        Kind::Allow | Kind::Deny | Kind::Barrier => "",
    };
    let elsewhere = if record.end == end { String::new() } else { format!(" at {}", record.end) };
    let generations = match record.generation_first == record.generation_last {
        true => record.generation_last.to_string(),
        false => format!("{}–{}", record.generation_first, record.generation_last),
    };
    format!("{kind}{} by {}{elsewhere}, generation {generations}", record.verdict, record.rule)
}

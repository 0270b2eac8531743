//! What was read and what was found, as text for people.

use std::fmt::Write;

use crate::account::{Account, Note};
use crate::read::Format;
use crate::replay::word;
use crate::report::{PairRow, Report, Said};
use crate::tally::{Change, Sums};

/// What was read of one recording.
#[must_use]
pub fn account(name: &str, format: Format, account: &Account) -> String {
    let entry = if format == Format::Pcap { "packet" } else { "line" };
    let (flows, entries) = (counted(account.flows, "flow"), counted(account.entries, entry));
    let mut text = format!("{name}: {flows} from {entries} ({format})");
    match account.bad {
        0 => text.push('\n'),
        bad => {
            let _ = writeln!(text, ", {} of them could not be read", grouped(bad));
        }
    }
    for bad in &account.shown {
        let excerpt = if bad.excerpt.is_empty() { String::new() } else { format!(": {}", bad.excerpt) };
        let _ = writeln!(text, "  {entry} {}: {}{excerpt}", bad.place, bad.reason);
    }
    if account.bad > account.shown.len() as u64 {
        let _ = writeln!(text, "  … and {} more", grouped(account.bad - account.shown.len() as u64));
    }
    for note in Note::ALL {
        match account.noted(note) {
            0 => {}
            count => {
                let _ = writeln!(text, "  {}: {}", note.words(), grouped(count));
            }
        }
    }
    text
}

/// What was found; of each list at most so many rows.
#[must_use]
pub fn report(report: &Report, most: usize) -> String {
    let mut text = format!(
        "{}{}: {} would be allowed, {} intercepted\n",
        counted(report.all.flows, "flow"),
        span(report),
        grouped(report.all.allowed),
        grouped(report.all.intercepted)
    );
    rules(&mut text, report, most);
    let intercepted = report.pairs.iter().filter(|row| row.sums.intercepted > 0);
    pairs(&mut text, "would be intercepted", report.all.intercepted, intercepted, most);
    let Report { recorded_allowed_now_intercepted: lost, recorded_intercepted_now_allowed: won, .. } = report;
    if *lost > 0 {
        let rows = report.pairs.iter().filter(|row| row.sums.intercepted > 0 && row.sums.recorded_allowed > 0);
        pairs(&mut text, "recorded as passed, would be intercepted", *lost, rows, most);
    }
    if *won > 0 {
        let rows = report.pairs.iter().filter(|row| row.sums.allowed > 0 && row.sums.recorded_intercepted > 0);
        pairs(&mut text, "recorded as intercepted, would be allowed", *won, rows, most);
    }
    if let Some(changes) = &report.changes {
        let by = |wanted: Change| report.pairs.iter().filter(move |row| row.change == wanted);
        text.push_str("\nbeside the policy in force:\n");
        let _ = writeln!(text, "  judged alike: {}", counted(changes.same, "flow"));
        pairs(&mut text, "newly intercepted", changes.newly_intercepted, by(Change::NewlyIntercepted), most);
        pairs(&mut text, "newly allowed", changes.newly_allowed, by(Change::NewlyAllowed), most);
        let title = "decided by another rule, at another end or with another answer";
        pairs(&mut text, title, changes.otherwise, by(Change::Otherwise), most);
    }
    beyond(&mut text, report);
    text
}

fn span(report: &Report) -> String {
    match (report.first, report.last) {
        (Some(first), Some(last)) if first != last => format!(" from {first} to {last}"),
        (Some(first), _) => format!(" at {first}"),
        (None, _) => String::new(),
    }
}

fn rules(text: &mut String, report: &Report, most: usize) {
    text.push_str("\nby rule:\n");
    for row in report.rules.iter().take(most) {
        let _ = writeln!(text, "  {:>13}  {}", grouped(row.sums.flows), said(&row.said));
    }
    more(text, report.rules.len(), most);
    if !report.unused.is_empty() {
        let shown: Vec<&str> = report.unused.iter().take(most).map(String::as_str).collect();
        let rest = report.unused.len() - shown.len();
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let _ = writeln!(text, "  no flow was decided by {}{rest}", shown.join(", "));
    }
}

fn pairs<'a>(text: &mut String, title: &str, flows: u64, rows: impl Iterator<Item = &'a PairRow>, most: usize) {
    let rows: Vec<&PairRow> = rows.collect();
    if rows.is_empty() && flows == 0 {
        return;
    }
    let _ = writeln!(text, "\n{title} ({}):", counted(flows, "flow"));
    for row in rows.iter().take(most) {
        let PairRow { source, destination, service, said: now, was, sums, .. } = row;
        let was = was.as_ref().filter(|was| *was != now).map(|was| format!("; it was {}", said(was)));
        let flows = grouped(sums.flows);
        let now = said(now);
        let _ = writeln!(text, "  {flows:>13}  {source} -> {destination} {service}: {now}{}", was.unwrap_or_default());
    }
    more(text, rows.len(), most);
}

fn more(text: &mut String, rows: usize, most: usize) {
    if rows > most {
        let _ = writeln!(text, "  {:>13}  … and {} rows more (--top shows more)", "", rows - most);
    }
}

fn beyond(text: &mut String, report: &Report) {
    let Sums { flows, allowed, intercepted, .. } = report.beyond;
    if flows > 0 {
        let _ = writeln!(
            text,
            "\n{} of further pairs, counted above by rule and listed by no pair: {} allowed, {} intercepted",
            counted(flows, "flow"),
            grouped(allowed),
            grouped(intercepted)
        );
    }
    if report.crowded > 0 {
        let _ = writeln!(
            text,
            "\nends of flows shown as others, for their prefixes are more than are told apart: {}",
            grouped(report.crowded)
        );
    }
}

fn said(said: &Said) -> String {
    let rule = said.rule.as_deref().map_or(" (no agent judges)".to_owned(), |rule| format!(" by {rule}"));
    let end = said.end.map(|end| format!(" at {end}")).unwrap_or_default();
    format!("{}{rule}{end}", word(said.verdict))
}

/// So many of a thing, by its name for one.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// A number with its thousands divided.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

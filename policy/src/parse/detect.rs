//! The `detect:` of a policy.

use std::time::Duration;

use super::rule::Context;
use crate::yaml::{Entry, Fields, Node, Text};
use crate::{Detector, Problem, Problems, Response, Selector, Watch, did_you_mean, yaml};

/// The keys of a detector.
pub const KNOWN: [&str; 9] = ["name", "scan", "sweep", "flood", "volume", "from", "to", "then", "for"];
/// What a detector can watch, of which it watches one.
pub const WATCHES: [&str; 4] = ["scan", "sweep", "flood", "volume"];
/// What each of these counts.
pub const UNITS: [&str; 4] = ["ports", "peers", "connections", "bytes"];
/// What is done about it; the first is over at once.
pub const RESPONSES: [&str; 3] = ["alert", "intercept", "quarantine"];

/// Each has tables of its own in every agent where it holds.
pub const MOST: usize = 16;
/// Fewer than two is no pattern; more than this an agent does not keep of one source.
pub const COUNTS: std::ops::RangeInclusive<u64> = 2..=10_000;
/// A thousand tebibytes.
const BYTES: std::ops::RangeInclusive<u64> = 1..=1 << 50;
const WITHIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// Agents read the kernel's counters of bytes once a second.
const WITHIN_VOLUME: (Duration, Duration) = (Duration::from_secs(5), WITHIN.1);
const FOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30 * 86_400));

/// How the detectors of a policy are read.
pub(super) fn detectors(fields: &Fields<'_>, context: &Context<'_>, problems: &mut Problems) -> Vec<Detector> {
    let items = items(fields, problems);
    if let Some(item) = items.get(MOST) {
        problems.report(Problem::new(item.span, format!("at most {MOST} detectors are possible")));
        return Vec::new();
    }
    items.iter().filter_map(|item| read(item, context, problems)).collect()
}

/// The list's items; that it is none is reported once, by whoever asks with the policy's problems.
pub(super) fn items<'n>(fields: &Fields<'n>, problems: &mut Problems) -> &'n [Node] {
    fields.get("detect").and_then(|node| yaml::items(node, "a list of detectors", problems)).unwrap_or_default()
}

fn read(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Detector> {
    let before = problems.count();
    let fields = Fields::of(node, "a detector", &KNOWN, problems)?;
    let name = fields
        .require("name", problems)
        .and_then(|node| yaml::text(node, "a name", problems))
        .and_then(|text| yaml::name(text, "a detector", problems));
    let watched = watched(&fields, problems).and_then(|entry| watch(entry, problems));
    let mut end = |key| match fields.get(key) {
        Some(node) => context.groups.selector(node, problems),
        None => Some(Selector::Any),
    };
    let (from, to) = (end("from"), end("to"));
    if let Some(entry) = fields.entry("volume") {
        of_vms(&fields, entry, from.as_ref(), problems);
    }
    let then = then(&fields, problems);
    let (watch, within) = watched?;
    let line = context.line(node.span);
    let tier = context.tier.cloned();
    let detector = Detector { tier, name: name?, watch, within, from: from?, to: to?, then: then?, line };
    (problems.count() == before).then_some(detector)
}

/// The one thing that a detector watches.
fn watched<'n>(fields: &Fields<'n>, problems: &mut Problems) -> Option<&'n Entry> {
    let mut found: Option<&Entry> = None;
    for entry in fields.entries().iter().filter(|entry| WATCHES.contains(&entry.key.as_str())) {
        match found {
            None => found = Some(entry),
            Some(first) => {
                let problem = Problem::new(entry.key.span(), "a detector watches one thing, this is another");
                problems.report(problem.also(first.key.span(), "the first").help("write a detector for each"));
            }
        }
    }
    let meant = |entry: &Entry| did_you_mean(entry.key.as_str(), &WATCHES).is_some_and(|help| help.starts_with("did"));
    let misspelt = fields.entries().iter().any(|entry| !KNOWN.contains(&entry.key.as_str()) && meant(entry));
    if found.is_none() && !misspelt {
        let first = fields.entries().first().map_or(fields.span(), |entry| entry.key.span());
        let problem =
            Problem::new(first, "this detector watches nothing: it needs `scan`, `sweep`, `flood` or `volume`");
        problems.report(problem.help("such as `scan: {ports: 20, within: 10s}`"));
    }
    found
}

/// The kernel counts bytes by sender, and knows beforehand only the addresses of VMs.
fn of_vms(fields: &Fields<'_>, volume: &Entry, from: Option<&Selector>, problems: &mut Problems) {
    if from.is_some_and(Selector::may_be_outside) {
        let place = fields.entry("from").map_or(volume.key.span(), |from| from.value.span);
        let problem = Problem::new(place, "`volume` watches what VMs send, and this is also about addresses outside");
        problems.report(problem.help("such as `from: vms`"));
    }
}

fn watch(entry: &Entry, problems: &mut Problems) -> Option<(Watch, Duration)> {
    let mut units = WATCHES.iter().zip(UNITS);
    let unit = units.find(|(watch, _)| **watch == entry.key.as_str()).map_or("bytes", |(_, unit)| unit);
    let bounds = if unit == "bytes" { WITHIN_VOLUME } else { WITHIN };
    let fields = Fields::of(&entry.value, entry.key.as_str(), &[unit, "within"], problems)?;
    let number = fields.require(unit, problems).and_then(|node| number(node, unit, problems));
    let within = fields.require("within", problems).and_then(|node| duration(node, bounds, problems));
    let (number, within) = (number?, within?);
    let count = u32::try_from(number).unwrap_or(u32::MAX);
    let watch = match entry.key.as_str() {
        "scan" => Watch::Scan { ports: count },
        "sweep" => Watch::Sweep { peers: count },
        "flood" => Watch::Flood { connections: count },
        _ => Watch::Volume { bytes: number },
    };
    Some((watch, within))
}

/// A number; of bytes with `k`, `M` or `G` for powers of 1024.
fn number(node: &Node, unit: &str, problems: &mut Problems) -> Option<u64> {
    let text = yaml::text(node, &format!("a number of {unit}"), problems)?;
    let bytes = unit == "bytes";
    let (digits, factor) = match text.as_str().char_indices().last() {
        Some((at, 'k')) if bytes => (&text.as_str()[..at], 1 << 10),
        Some((at, 'M')) if bytes => (&text.as_str()[..at], 1 << 20),
        Some((at, 'G')) if bytes => (&text.as_str()[..at], 1 << 30),
        Some(_) | None => (text.as_str(), 1),
    };
    let range = if bytes { BYTES } else { COUNTS };
    let Some(number) = whole(digits) else {
        let problem = Problem::new(text.span(), format!("`{}` is no number of {unit}", text.as_str()));
        let help = if bytes {
            "a whole number, and k, M or G behind it for 1024, its square and its cube"
        } else {
            "a whole number"
        };
        problems.report(problem.help(help));
        return None;
    };
    let number = number.saturating_mul(factor);
    if !range.contains(&number) {
        let message = format!("{} {unit}: from {} to {} are possible", text.as_str(), range.start(), range.end());
        problems.report(Problem::new(text.span(), message));
        return None;
    }
    Some(number)
}

fn whole(digits: &str) -> Option<u64> {
    digits.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What a response is made of.
type Made = fn(Duration) -> Response;

/// `then`, and the `for` that belongs to it.
fn then(fields: &Fields<'_>, problems: &mut Problems) -> Option<Response> {
    let [alert, intercept, quarantine] = RESPONSES;
    let words: [(&str, Made); 3] =
        [(alert, |_| Response::Alert), (intercept, Response::Intercept), (quarantine, Response::Quarantine)];
    let response = fields.require("then", problems).and_then(|node| yaml::word(node, &words, problems));
    let span = fields.entry("for").map(|entry| entry.key.span());
    let time = fields.get("for").map(|node| duration(node, FOR, problems));
    let response = response?;
    match (response(Duration::ZERO), time) {
        (Response::Alert, None) => Some(Response::Alert),
        (Response::Alert, Some(_)) => {
            let problem = Problem::new(span.unwrap_or(fields.span()), "an alert is over at once: it has no `for`");
            problems.report(problem.help("leave `for` out, or write `then: intercept` or `then: quarantine`"));
            None
        }
        (Response::Intercept(_) | Response::Quarantine(_), Some(time)) => Some(response(time?)),
        (Response::Intercept(_) | Response::Quarantine(_), None) => {
            let place = fields.entry("then").map_or(fields.span(), |entry| entry.value.span);
            problems.report(Problem::new(place, "for how long? it needs the key `for`").help("such as `for: 10m`"));
            None
        }
    }
}

/// `500ms`, `10s`, `10m`, `2h`, `1d`.
fn duration(node: &Node, (least, most): (Duration, Duration), problems: &mut Problems) -> Option<Duration> {
    let text = yaml::text(node, "a time, such as `10s`", problems)?;
    let Some(time) = milliseconds(text) else {
        let problem = Problem::new(text.span(), format!("`{}` is no time", text.as_str()));
        problems.report(problem.help("a whole number with ms, s, m, h or d behind it, such as `10s` or `5m`"));
        return None;
    };
    let time = Duration::from_millis(time);
    if time < least || time > most {
        let message = format!("{}: from {} to {} are possible", text.as_str(), short(least), short(most));
        problems.report(Problem::new(text.span(), message));
        return None;
    }
    Some(time)
}

fn milliseconds(text: &Text) -> Option<u64> {
    let written = text.as_str();
    let at = written.find(|c: char| !c.is_ascii_digit())?;
    let factor = match &written[at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(whole(&written[..at]).filter(|_| at > 0)?.saturating_mul(factor))
}

/// A bound as it is written.
fn short(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

//! The record of what a detector found, with its evidence in words.

use jiff::Timestamp;
use policy::{Detector, Protocol, Response, Verdict};
use wire::{Kind, MAX_TEXT, Record};

use crate::detect::{Finding, Mark};

/// How many of the things that were seen a record names.
const EXAMPLES: usize = 16;

/// The record of a finding, but for its key. `clock` is the center's time minus the agent's own, in milliseconds. It is
/// about no single flow: what tells flows apart is empty.
pub(crate) fn record(finding: &Finding, clock: Option<i64>, stamp: u64) -> Record {
    let Finding { detector, last, .. } = finding;
    let mut record = last.clone();
    record.kind = Kind::Alert;
    (record.source.port, record.destination.port) = (0, 0);
    (record.protocol, record.icmp_type, record.icmp_id) = (Protocol::Other(0), 0, 0);
    record.tcp_sequence = None;
    record.payload.clear();
    record.verdict = match detector.then {
        Response::Alert => Verdict::Allow,
        Response::Intercept(_) | Response::Quarantine(_) => Verdict::Deny,
    };
    record.rule = Detector::rule_of(&detector.name);
    (record.admitted_by, record.would) = (None, None);
    record.packets = finding.number();
    record.detail = detail(finding, clock);
    record.stamp = stamp;
    record
}

/// `20 ports from TIME to TIME: tcp/1 tcp/2 …`.
fn detail(finding: &Finding, clock: Option<i64>) -> String {
    let Finding { detector, seen, .. } = finding;
    let time = |at: Option<&(u64, Mark)>| at.map(|(time, _)| instant(*time, clock)).unwrap_or_default();
    let mut text =
        format!("{} {} from {} to {}:", finding.number(), detector.watch.unit(), time(seen.first()), time(seen.last()));
    for (_, mark) in seen.iter().take(EXAMPLES) {
        let example = words(mark);
        if text.len() + example.len() + " …".len() >= MAX_TEXT {
            break;
        }
        text.push(' ');
        text.push_str(&example);
    }
    if seen.len() > EXAMPLES && text.len() + " …".len() <= MAX_TEXT {
        text.push_str(" …");
    }
    text
}

/// The center's time, where it is known.
fn instant(own: u64, clock: Option<i64>) -> String {
    let by_center = clock.and_then(|clock| clock.checked_add(i64::try_from(own).ok()?));
    match by_center.and_then(|time| Timestamp::from_millisecond(time).ok()) {
        Some(time) => time.to_string(),
        None => format!("{}.{:03} s of the agent's own clock", own / 1000, own % 1000),
    }
}

fn words(mark: &Mark) -> String {
    let name = |protocol: &Protocol| match protocol {
        Protocol::Tcp => "tcp".to_owned(),
        Protocol::Udp => "udp".to_owned(),
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Icmpv6 => "icmpv6".to_owned(),
        Protocol::Other(number) => format!("proto-{number}"),
    };
    match mark {
        Mark::Port(protocol, port) => format!("{}/{port}", name(protocol)),
        Mark::Peer(party) => party.to_string(),
        Mark::Flow(protocol, from, to, _) => format!("{}/{to}<{from}", name(protocol)),
        Mark::Bytes(bytes) => bytes.to_string(),
    }
}

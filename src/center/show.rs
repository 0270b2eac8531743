//! The center's answers as text for people.

use policy::{Protocol, Timestamp};
use wire::{AgentState, CenterEvent, CenterStatus, FlowEnd, Kind, PolicyVersion, Presence, Record, RecordQuery};

pub(crate) fn generation(generation: u64) -> String {
    format!("generation {generation}\n")
}

pub(crate) fn version(version: &PolicyVersion) -> String {
    let PolicyVersion { generation, published, text } = version;
    format!("generation {generation:>6}  {}  {} lines\n", instant(*published), text.lines().count())
}

fn instant(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| "?".to_owned(), |instant| instant.to_string())
}

pub(crate) fn status(status: &CenterStatus) -> String {
    let listen = status.listen.map(|address| format!(", listening on {address}")).unwrap_or_default();
    let mut text = format!("generation {}{listen}\n", status.generation);
    text.extend(status.agents.iter().map(agent));
    text
}

fn agent(state: &AgentState) -> String {
    let AgentState { vm, presence, acked, refused, quarantined, clones, stale_since, suspended_until } = state;
    let presence = match (presence, stale_since) {
        (Presence::Unenrolled, _) => "unenrolled".to_owned(),
        (Presence::Online, _) => "online".to_owned(),
        (Presence::Stale, Some(since)) => format!("stale since {}", instant(*since)),
        (Presence::Stale, None) => "stale".to_owned(),
        (Presence::Offline, _) => "offline".to_owned(),
    };
    let quarantined = if *quarantined { "  quarantined" } else { "" };
    let refused =
        refused.as_ref().map(|(generation, why)| format!("  refused {generation}: {why}")).unwrap_or_default();
    let cloned = match clones {
        0 => String::new(),
        times => format!("  key in two places: {times} sessions of copies, enrol it anew"),
    };
    let suspended = suspended_until.map(|end| format!("  suspended until {}", instant(end))).unwrap_or_default();
    format!("{vm:<24} {presence:<10} acknowledged {acked}{quarantined}{suspended}{refused}{cloned}\n")
}

pub(crate) fn event(event: &CenterEvent) -> String {
    match event {
        CenterEvent::Record(found) => record(found),
        CenterEvent::Published { generation } => format!("published generation {generation}\n"),
        CenterEvent::Agent(state) => format!("agent {}", agent(state)),
        CenterEvent::Alert { vm, detail } => format!("alert {vm}: {detail}\n"),
        CenterEvent::Missed { count } => format!("missed {count} events: ask without --follow\n"),
    }
}

/// One record as a line: `hr-1 deny hr-1 (10.98.0.3) -> fin-db (10.98.0.1) tcp/5432: reject by … at source, generation 4`.
pub(crate) fn record(record: &Record) -> String {
    let kind = match record.kind {
        Kind::Allow => "allow",
        Kind::Deny => "deny",
        Kind::Cut => "cut",
        Kind::Invalid => "invalid",
        Kind::Barrier => "barrier",
        Kind::Tamper => {
            return format!("{} tamper: {} changes by others: {}\n", record.key.vm, record.packets, record.detail);
        }
        Kind::Alert => return alert(record),
        Kind::Gap => return format!("{} gap: {} records lost: {}\n", record.key.vm, record.packets, record.detail),
        Kind::Suppressed => {
            let Record { key, packets, verdict, rule, detail, .. } = record;
            return format!(
                "{} suppressed: {packets} packets, {verdict} by {rule}, were not told one by one: {detail}\n",
                key.vm
            );
        }
        Kind::Aggregated => {
            let Record { key, packets, verdict, rule, detail, .. } = record;
            let (source, destination) = (end(&record.source), end(&record.destination));
            return format!(
                "{} aggregated {source} -> {destination}: {packets} packets, {verdict} by {rule}, {detail}\n",
                key.vm
            );
        }
    };
    let (source, destination) = (end(&record.source), end(&record.destination));
    let admitted = record.admitted_by.as_ref().map(|rule| format!(", admitted by {rule}")).unwrap_or_default();
    let would = record.would.as_ref().map(|would| {
        let rule = would.rule.as_deref().unwrap_or("nothing");
        format!(", would {} by {rule}", would.verdict)
    });
    let span = if record.generation_first == record.generation_last {
        record.generation_last.to_string()
    } else {
        format!("{} to {}", record.generation_first, record.generation_last)
    };
    format!(
        "{} {kind} {source} -> {destination} {}: {} by {} at {}{admitted}{}, generation {span}\n",
        record.key.vm,
        service(record),
        record.verdict,
        record.rule,
        record.end,
        would.unwrap_or_default(),
    )
}

fn alert(record: &Record) -> String {
    if record.source.address.is_unspecified() {
        return format!("{} alert: {} {}\n", record.key.vm, record.rule, record.detail);
    }
    let (source, destination) = (end(&record.source), end(&record.destination));
    format!("{} alert {source} -> {destination}: {}, {}\n", record.key.vm, record.rule, record.detail)
}

fn end(end: &FlowEnd) -> String {
    match &end.vm {
        Some(vm) => format!("{vm} ({})", end.address),
        None => end.address.to_string(),
    }
}

fn service(record: &Record) -> String {
    match record.protocol {
        Protocol::Tcp => format!("tcp/{}", record.destination.port),
        Protocol::Udp => format!("udp/{}", record.destination.port),
        Protocol::Icmp => format!("icmp/{}", record.icmp_type),
        Protocol::Icmpv6 => format!("icmpv6/{}", record.icmp_type),
        Protocol::Other(number) => format!("proto/{number}"),
    }
}

/// Whether a record is one that a query asks for.
pub(crate) fn wanted(query: &RecordQuery, record: &Record) -> bool {
    let RecordQuery { vm, kind, rule, address, port, after: _, limit: _ } = query;
    vm.as_ref().is_none_or(|vm| *vm == record.key.vm)
        && kind.is_none_or(|kind| kind == record.kind)
        && rule.as_ref().is_none_or(|rule| *rule == record.rule)
        && address.is_none_or(|address| address == record.source.address || address == record.destination.address)
        && port.is_none_or(|port| port == record.destination.port)
}

//! What is told of the traffic of real programs, against what the policy says of it: nobody has planned these flows.

use policy::{End, Flow, FlowService, Name, Protocol, Timestamp, Verdict};
use reports::event::FindingKind;
use wire::Record;

use super::event::words;
use crate::plan::{Decision, ends};
use crate::probe::tuple::Tuple;
use crate::state::State;

/// What is wrong with a record of a program's flow, in the state in which the program ran.
pub(crate) fn of_record(state: &State, record: &Record, now: Timestamp) -> Option<(FindingKind, String)> {
    let vm: Name = record.key.vm.parse().ok()?;
    let flow = Flow {
        source: record.source.address,
        destination: record.destination.address,
        service: service(record.protocol, record.destination.port, record.icmp_type),
    };
    let decision = ends::at_from(state, &vm, record.end, (&flow, Some(record.source.port)), now)?;
    let kind = match (record.verdict, decision.verdict) {
        (Verdict::Allow, Verdict::Deny | Verdict::Reject) => FindingKind::Leak,
        (Verdict::Deny | Verdict::Reject, Verdict::Allow) => FindingKind::Overblock,
        (Verdict::Deny, Verdict::Reject) | (Verdict::Reject, Verdict::Deny) => FindingKind::WrongAction,
        (Verdict::Allow, Verdict::Allow) | (Verdict::Deny, Verdict::Deny) | (Verdict::Reject, Verdict::Reject) => {
            (record.rule != decision.rule).then_some(FindingKind::Misattributed)?
        }
    };
    Some((kind, format!("told of a program's traffic: {}; the policy says {}", words(record), said(&decision))))
}

/// What is wrong with a connection that came up to a station, where its source should have intercepted it.
pub(crate) fn of_arrival(state: &State, source: &Name, tuple: &Tuple, now: Timestamp) -> Option<(FindingKind, String)> {
    let flow = Flow { source: tuple.source, destination: tuple.destination, service: FlowService::Tcp(tuple.to) };
    let decision = ends::at(state, source, End::Source, &flow, now).filter(|one| one.verdict != Verdict::Allow)?;
    let what = format!("{source} -> {} tcp/{}", tuple.destination, tuple.to);
    let why = format!("a program's connection {what} came up to its destination; the policy says {}", said(&decision));
    Some((FindingKind::Leak, why))
}

fn said(decision: &Decision) -> String {
    format!("{} by {}", decision.verdict, decision.rule)
}

fn service(protocol: Protocol, port: u16, icmp_type: u8) -> FlowService {
    match protocol {
        Protocol::Tcp => FlowService::Tcp(port),
        Protocol::Udp => FlowService::Udp(port),
        Protocol::Icmp => FlowService::Icmp(icmp_type),
        Protocol::Icmpv6 => FlowService::Icmpv6(icmp_type),
        Protocol::Other(number) => FlowService::Proto(number),
    }
}

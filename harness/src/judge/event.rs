//! Expectations about records, agents, generations and the center.

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::{End, FlowService, Verdict};
use reports::event::{Finding, FindingKind, Word};
use wire::{FlowEnd, Kind, Record};

use super::step::bare;
use super::{Fault, agents, diagnosis};
use crate::evidence::Observation;
use crate::plan::PlannedStep;
use crate::scenario::{About, Claim, Expectation, Glob, ReportClaim};
use crate::state::State;

/// Judges one such expectation.
pub(super) fn judge(step: &PlannedStep, expectation: &Expectation, seen: &Observation) -> Option<Finding> {
    let fault = match &expectation.claim {
        Claim::Report(claim) => report(&step.state, claim, seen),
        Claim::Agent { vms, standing } => agents::standing(&step.state, vms, *standing, seen),
        Claim::AckedByAll { but } => agents::acked(&step.state, but.as_ref(), seen),
        Claim::CenterBelow { bytes } => agents::below(*bytes, seen),
        Claim::PathMtu { name, end, mtu } => path_mtu(name, *end, *mtu, seen),
        Claim::PortStopped { vm, frames } => stopped(vm.as_str(), *frames, seen),
        Claim::Balanced if seen.imbalance.is_empty() => None,
        Claim::Balanced => unmet(seen.imbalance.join("; ")),
        Claim::Flow(_) | Claim::Session { .. } => None,
    }?;
    let (text, line) = (expectation.text.clone(), expectation.line);
    let mut finding = Finding { expectation: text, line, ..bare(step, fault.kind, fault.why) };
    let cause = diagnosis::of_event(fault.kind, step, &expectation.claim);
    cause.iter().for_each(|(cause, why)| finding.diagnose(*cause, why));
    Some(finding)
}

pub(super) fn unmet(why: String) -> Option<Fault> {
    Some(Fault::new(FindingKind::Unmet, why))
}

/// What the socket at an end of a session says of its path. Whether what is larger came through, the session's own claim says.
fn path_mtu(name: &str, end: End, mtu: u32, seen: &Observation) -> Option<Fault> {
    let session = seen.sessions.iter().find(|session| session.name == name);
    let told = session.and_then(|session| match end {
        End::Source => session.client_path_mtu,
        End::Destination => session.server_path_mtu,
    });
    match told {
        Some(told) if told == mtu => None,
        Some(told) => {
            unmet(format!("the socket at the {end} takes packets of {told} bytes for the largest on its path"))
        }
        None => Some(Fault::new(FindingKind::Unproven, format!("the socket at the {end} knows of no path"))),
    }
}

/// What a VM's ports stopped, by the count of the hosts' kernels.
fn stopped(vm: &str, frames: u64, seen: &Observation) -> Option<Fault> {
    match seen.stopped.get(vm) {
        Some(count) if *count == frames => None,
        Some(count) => unmet(format!("the port of `{vm}` stopped {count} frames")),
        None => Some(Fault::new(FindingKind::Unproven, format!("what the port of `{vm}` stopped could not be read"))),
    }
}

fn report(state: &State, claim: &ReportClaim, seen: &Observation) -> Option<Fault> {
    let found: Vec<&Record> = seen.records.iter().filter(|record| matches(state, claim, record)).collect();
    if claim.absent {
        if let Some(record) = found.first() {
            return unmet(format!("{} records tell of it, the first: {}", found.len(), words(record)));
        }
        return waits(seen).map(|why| Fault::new(FindingKind::Unproven, why));
    }
    if found.is_empty() {
        return match waits(seen) {
            Some(why) => Some(Fault::new(FindingKind::Unproven, why)),
            None => unmet("no record of this step tells of it".to_owned()),
        };
    }
    if !claim.once {
        return None;
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for record in &found {
        *counts.entry(words(record)).or_default() += 1;
    }
    let twice = counts.into_iter().find(|(_, count)| *count > 1);
    twice.and_then(|(what, count)| unmet(format!("recorded {count} times: {what}")))
}

/// No absence is judged before the barrier is through.
fn waits(seen: &Observation) -> Option<String> {
    let probes = seen.probes.iter().flat_map(|probe| probe.source_end.iter().chain(&probe.destination_end));
    let sessions = seen.sessions.iter().flat_map(|session| session.source_end.iter().chain(&session.destination_end));
    let waits = probes.chain(sessions).any(|testimony| testimony.alive && !testimony.barrier);
    waits.then(|| "no record tells of it, and a barrier did not come".to_owned())
}

fn matches(state: &State, claim: &ReportClaim, record: &Record) -> bool {
    let is = |glob: &Option<Glob>, end: &FlowEnd| glob.as_ref().is_none_or(|glob| names(state, glob, end));
    is(&claim.source, &record.source)
        && is(&claim.destination, &record.destination)
        && claim.service.is_none_or(|service| serves(service, record))
        && kind(claim, record)
        && claim.rule.as_deref().is_none_or(|rule| rule == record.rule)
        && claim.end.is_none_or(|end| end == record.end)
}

fn names(state: &State, glob: &Glob, end: &FlowEnd) -> bool {
    let owns = |address: &IpAddr| {
        let mut owners = state.endpoints().filter(|name| state.addresses(name).contains(address));
        owners.any(|name| glob.matches(name))
    };
    match &end.vm {
        Some(vm) => vm.parse().is_ok_and(|vm| glob.matches(&vm)),
        None => owns(&end.address),
    }
}

fn serves(service: FlowService, record: &Record) -> bool {
    let detail = match service {
        FlowService::Tcp(port) | FlowService::Udp(port) => record.destination.port == port,
        FlowService::Icmp(kind) | FlowService::Icmpv6(kind) => record.icmp_type == kind,
        FlowService::Proto(_) => true,
    };
    record.protocol == service.protocol() && detail
}

/// Without a word, interceptions are meant; with a rule alone, whatever bears it.
fn kind(claim: &ReportClaim, record: &Record) -> bool {
    if let Some(about) = claim.about {
        return record.kind
            == match about {
                About::Alert => Kind::Alert,
                About::Aggregated => Kind::Aggregated,
                About::Suppressed => Kind::Suppressed,
                About::Gap => Kind::Gap,
            };
    }
    match claim.word {
        Some(Word::Allow) => record.kind == Kind::Allow,
        Some(Word::Deny) => record.kind == Kind::Deny && record.verdict == Verdict::Deny,
        Some(Word::Reject) => record.kind == Kind::Deny && record.verdict == Verdict::Reject,
        Some(Word::Cut) => record.kind == Kind::Cut,
        Some(Word::Refused | Word::Unreachable | Word::Unproven) => false,
        None if claim.rule.is_some() => {
            !matches!(record.kind, Kind::Barrier | Kind::Gap | Kind::Aggregated | Kind::Suppressed)
        }
        None => matches!(record.kind, Kind::Deny | Kind::Cut | Kind::Invalid),
    }
}

/// A record in words, the same for two of the same packet's flow.
pub(super) fn words(record: &Record) -> String {
    let end = |end: &FlowEnd| {
        let name = end.vm.clone().unwrap_or_else(|| end.address.to_string());
        if end.port > 0 { format!("{name}:{}", end.port) } else { name }
    };
    let at = match record.end {
        End::Source => "source",
        End::Destination => "destination",
    };
    format!(
        "{} -> {} {:?} {} by {} at {at}, told by {}",
        end(&record.source),
        end(&record.destination),
        record.protocol,
        match record.kind {
            Kind::Cut => "cut".to_owned(),
            Kind::Alert => format!("alert of {}", record.detail.split(" from ").next().unwrap_or_default()),
            Kind::Aggregated => "aggregated".to_owned(),
            Kind::Suppressed => "suppressed".to_owned(),
            Kind::Allow | Kind::Deny | Kind::Invalid | Kind::Barrier | Kind::Gap | Kind::Tamper =>
                record.verdict.to_string(),
        },
        record.rule,
        record.key.vm,
    )
}

//! What became of a probe, settled from the evidence before it is compared with any expectation.

use policy::{End, FlowService, Verdict};
use reports::event::{Side, Word};
use wire::{Kind, Record};

use super::{foreign, managed};
use crate::evidence::{Client, Evidence, Fence, Testimony};
use crate::plan::{PlannedCell, ends};

/// What became of a probe.
#[derive(Clone, Debug)]
pub(super) enum Outcome<'e> {
    /// Delivered, answered, seen on both taps; with the allow record of each end that testifies.
    Allowed(Vec<(End, &'e Record)>),
    /// It came up to the listener and no answer came back.
    Delivered,
    /// Denied or rejected, and an agent's record says so.
    Intercepted(End, &'e Record),
    /// Denied by an agent that is dead: the kernel's counter says so (verdict, rule).
    Counted(End, Verdict, String),
    /// Stopped at a VM at which somebody else enforces: the ends and the wire say so.
    Witnessed(End, Verdict),
    /// The destination answered, and the answer was stopped at a source at which somebody else enforces.
    AnswerStopped,
    /// Intercepted by all other evidence, and no record says so.
    Unreported(Option<End>, String),
    /// It came to the destination, and nothing listens.
    Refused,
    /// The path is cut or missing.
    Unreachable(String),
    /// The evidence does not suffice.
    Unproven(String),
    /// The harness failed.
    HarnessError(String),
}

impl Outcome<'_> {
    /// The outcome as one side of a comparison.
    pub(super) fn side(&self) -> Side {
        let bare = |verdict| Side { verdict, rule: None, end: None, would: None };
        match self {
            Self::Allowed(records) => {
                let would = records.iter().find_map(|(_, record)| record.would.clone());
                Side { rule: records.last().map(|(_, record)| record.rule.clone()), would, ..bare(Word::Allow) }
            }
            Self::Delivered => bare(Word::Allow),
            Self::Intercepted(_, record) => Side {
                verdict: ends::word(record.verdict),
                rule: Some(record.rule.clone()),
                end: Some(record.end),
                would: record.would.clone(),
            },
            Self::Counted(end, verdict, rule) => {
                Side { rule: Some(rule.clone()), end: Some(*end), ..bare(ends::word(*verdict)) }
            }
            Self::Witnessed(end, verdict) => Side { end: Some(*end), ..bare(ends::word(*verdict)) },
            Self::AnswerStopped => Side { end: Some(End::Source), ..bare(Word::Deny) },
            Self::Unreported(end, _) => Side { end: *end, ..bare(Word::Deny) },
            Self::Refused => bare(Word::Refused),
            Self::Unreachable(_) => bare(Word::Unreachable),
            Self::Unproven(_) | Self::HarnessError(_) => bare(Word::Unproven),
        }
    }

    /// How it was proven, where not by records.
    pub(super) fn note(&self) -> &'static str {
        match self {
            Self::Counted(..) => "by counters",
            Self::Unreachable(_) | Self::Witnessed(..) | Self::AnswerStopped => "by taps",
            Self::Allowed(_)
            | Self::Delivered
            | Self::Intercepted(..)
            | Self::Unreported(..)
            | Self::Refused
            | Self::Unproven(_)
            | Self::HarnessError(_) => "",
        }
    }

    /// The generation under which it was judged, as the record says.
    pub(super) fn generation(&self) -> Option<u64> {
        match self {
            Self::Allowed(records) => records.last().map(|(_, record)| record.generation_last),
            Self::Intercepted(_, record) => Some(record.generation_last),
            Self::Delivered
            | Self::Counted(..)
            | Self::Witnessed(..)
            | Self::AnswerStopped
            | Self::Unreported(..)
            | Self::Refused
            | Self::Unreachable(_)
            | Self::Unproven(_)
            | Self::HarnessError(_) => None,
        }
    }
}

/// Whether a record tells of this very probe: addresses, ports, type and sequence number.
pub(super) fn is_of(record: &Record, evidence: &Evidence) -> bool {
    let probe = &evidence.probe;
    let (protocol, icmp) =
        (probe.service.protocol(), matches!(probe.service, FlowService::Icmp(_) | FlowService::Icmpv6(_)));
    let asks = match probe.service {
        FlowService::Tcp(port) | FlowService::Udp(port) => {
            record.destination.port == port && record.source.port == evidence.source_port
        }
        FlowService::Icmp(kind) | FlowService::Icmpv6(kind) => record.icmp_type == kind,
        FlowService::Proto(_) => true,
    };
    let identified = !icmp || record.icmp_id == evidence.source_port;
    // What never left its source has a sequence number that no tap could see.
    let unseen = evidence.tcp_sequence.is_none() && evidence.left_source == 0;
    let sequenced =
        !matches!(probe.service, FlowService::Tcp(_)) || unseen || record.tcp_sequence == evidence.tcp_sequence;
    record.source.address == probe.source_address
        && record.destination.address == probe.destination_address
        && record.family == probe.family
        && record.protocol == protocol
        && asks
        && identified
        && sequenced
}

/// The interception of this probe that an end's agent recorded.
pub(super) fn interception<'e>(vm: &str, testimony: &'e Testimony, evidence: &Evidence) -> Option<&'e Record> {
    of_kind(vm, testimony, evidence, &[Kind::Deny, Kind::Cut])
}

/// The admission of this probe that an end's agent recorded.
pub(super) fn admission<'e>(vm: &str, testimony: &'e Testimony, evidence: &Evidence) -> Option<&'e Record> {
    of_kind(vm, testimony, evidence, &[Kind::Allow])
}

fn of_kind<'e>(vm: &str, testimony: &'e Testimony, evidence: &Evidence, kinds: &[Kind]) -> Option<&'e Record> {
    let fits = |record: &&Record| kinds.contains(&record.kind) && record.key.vm == vm && is_of(record, evidence);
    testimony.records.iter().find(fits)
}

/// The name of the VM at an end.
pub(super) fn vm_at(cell: &PlannedCell, end: End) -> &str {
    match end {
        End::Source => cell.source.as_str(),
        End::Destination => cell.destination.as_str(),
    }
}

/// Settles what became of a probe.
pub(super) fn settle<'e>(cell: &PlannedCell, evidence: &'e Evidence) -> Outcome<'e> {
    if let Client::Failed(why) = &evidence.client {
        return Outcome::HarnessError(why.clone());
    }
    let answered = evidence.client == Client::Answered;
    match (evidence.delivered, answered) {
        (true, true) => delivered(cell, evidence),
        (true, false) => Outcome::Delivered,
        (false, true) => Outcome::Unproven("the client was answered, and the listener knows nothing of it".into()),
        (false, false) => undelivered(cell, evidence),
    }
}

fn delivered<'e>(cell: &PlannedCell, evidence: &'e Evidence) -> Outcome<'e> {
    if evidence.left_source == 0 || evidence.reached_destination == 0 {
        return Outcome::Unproven("it was answered, and a tap did not see it".into());
    }
    let ends = managed(&cell.ends, evidence).into_iter();
    let admitted = ends
        .filter_map(|(end, testimony, _)| admission(vm_at(cell, end), testimony, evidence).map(|record| (end, record)));
    Outcome::Allowed(admitted.collect())
}

fn undelivered<'e>(cell: &PlannedCell, evidence: &'e Evidence) -> Outcome<'e> {
    if let Some(why) = without_fence(cell, evidence) {
        return why;
    }
    if evidence.tap_losses > 0 {
        return Outcome::Unproven(format!("the taps lost {} frames", evidence.tap_losses));
    }
    match record_of(cell, evidence) {
        Some((_, _)) if !evidence.listener_proven => Outcome::Unproven("the listener is not proven".into()),
        Some((end, record)) => intercepted(end, record, evidence),
        None => unrecorded(cell, evidence),
    }
}

/// The interception record of the end at which the taps say that the probe ended; else any.
fn record_of<'e>(cell: &PlannedCell, evidence: &'e Evidence) -> Option<(End, &'e Record)> {
    let ends = managed(&cell.ends, evidence).into_iter();
    let mut found: Vec<(End, &Record)> = ends
        .filter_map(|(end, testimony, _)| {
            interception(vm_at(cell, end), testimony, evidence).map(|record| (end, record))
        })
        .collect();
    let here = if evidence.reached_destination > 0 { End::Destination } else { End::Source };
    found.sort_by_key(|(end, _)| *end != here);
    found.first().copied()
}

fn intercepted<'e>(end: End, record: &'e Record, evidence: &Evidence) -> Outcome<'e> {
    match end {
        End::Source if evidence.reached_destination > 0 => {
            Outcome::Unproven("the source's record says intercepted, and the probe came up to the destination".into())
        }
        End::Destination if evidence.reached_destination == 0 && evidence.left_source > 0 => Outcome::Unproven(
            "the destination's record says intercepted, and the tap did not see the probe arrive".into(),
        ),
        End::Source | End::Destination => Outcome::Intercepted(end, record),
    }
}

/// What can be said where silence is not ended by a fence.
fn without_fence<'e>(cell: &PlannedCell, evidence: &'e Evidence) -> Option<Outcome<'e>> {
    let answered = !matches!(evidence.client, Client::Silence);
    match evidence.fence {
        Fence::Returned => None,
        Fence::NotNeeded if answered => None,
        Fence::NotNeeded => Some(Outcome::Unproven("nothing came back, and no fence was sent".into())),
        Fence::Lost if evidence.path_cut && evidence.tap_losses == 0 => cut_path(cell, evidence),
        Fence::Lost => Some(Outcome::Unproven("the fence did not come back".into())),
    }
}

/// A path that the lab has cut: what left and did not arrive is unreachable; what never left may be intercepted.
fn cut_path<'e>(cell: &PlannedCell, evidence: &'e Evidence) -> Option<Outcome<'e>> {
    match (evidence.left_source, evidence.reached_destination) {
        (0, 0) if record_of(cell, evidence).is_some_and(|(end, _)| end == End::Source) => None,
        (0, 0) if dead(cell, evidence, End::Source) => None,
        (0, 0) => Some(Outcome::Unproven("the path is cut, and the probe did not leave the source".into())),
        (_, 0) => Some(Outcome::Unreachable("the lab has cut the path; the probe left and did not arrive".into())),
        (_, _) => Some(Outcome::Unproven("the path is cut, and the probe arrived all the same".into())),
    }
}

fn dead(cell: &PlannedCell, evidence: &Evidence, at: End) -> bool {
    managed(&cell.ends, evidence).iter().any(|(end, testimony, _)| *end == at && !testimony.alive)
}

/// No record tells of an interception: what else speaks for one?
fn unrecorded<'e>(cell: &PlannedCell, evidence: &'e Evidence) -> Outcome<'e> {
    let ends = managed(&cell.ends, evidence);
    let silent = ends.iter().find(|(_, testimony, _)| testimony.alive && !testimony.barrier);
    if let Some((end, _, _)) = silent {
        return Outcome::Unproven(format!("the barrier of the {end}'s records did not come"));
    }
    if let Some(counted) = counted(cell, evidence) {
        return counted;
    }
    if !evidence.listener_proven && evidence.reached_destination > 0 {
        return match evidence.client {
            Client::Refused => Outcome::Refused,
            Client::Answered | Client::Reset | Client::Unreachable(_) | Client::Silence | Client::Failed(_) => {
                Outcome::Unproven("nothing came back, and the listener is not proven".into())
            }
        };
    }
    if let Some(witnessed) = foreign::witnessed(cell, evidence) {
        return witnessed;
    }
    if let Some(end) = swallowed(cell, evidence) {
        return Outcome::Unreported(Some(end), "intercepted, and no record tells of it".into());
    }
    match &evidence.client {
        Client::Refused if evidence.reached_destination > 0 && ends.is_empty() => Outcome::Refused,
        Client::Refused if evidence.reached_destination > 0 => {
            Outcome::Unreported(None, "refused although the listener is proven, and no record tells of it".into())
        }
        Client::Unreachable(why) if evidence.left_source == 0 => {
            Outcome::Unreachable(format!("the source has no way to the destination ({why})"))
        }
        Client::Answered
        | Client::Refused
        | Client::Reset
        | Client::Unreachable(_)
        | Client::Silence
        | Client::Failed(_) => Outcome::Unproven("nothing came back, and no record tells why".into()),
    }
}

/// The end that must have intercepted an unrecorded probe: the kernel counted it there, or it never left a source that sent it.
fn swallowed(cell: &PlannedCell, evidence: &Evidence) -> Option<End> {
    let local = matches!(evidence.client, Client::Unreachable(_));
    let ends = managed(&cell.ends, evidence);
    let at = |wanted: End| ends.iter().find(|(end, testimony, _)| *end == wanted && testimony.alive);
    let counts = |wanted: End| {
        at(wanted).is_some_and(|(_, testimony, _)| testimony.counters.iter().any(|line| more_in_kernel(line)))
    };
    match (evidence.left_source, evidence.reached_destination) {
        (0, _) if at(End::Source).is_some() && (!local || counts(End::Source)) => Some(End::Source),
        (_, 1..) if counts(End::Destination) => Some(End::Destination),
        (_, _) => None,
    }
}

/// Whether a line `rule: kernel n, probes n, records n` shows more packets in the kernel than in the records.
fn more_in_kernel(line: &str) -> bool {
    let number = |word: &str| -> Option<u64> {
        let rest = line.rsplit_once(&format!("{word} "))?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    match (number("kernel"), number("records")) {
        (Some(kernel), Some(records)) => kernel > records,
        (_, _) => false,
    }
}

/// The word of the kernel's counters for an agent that is dead (semantics 22).
fn counted<'e>(cell: &PlannedCell, evidence: &Evidence) -> Option<Outcome<'e>> {
    for (end, testimony, decision) in managed(&cell.ends, evidence) {
        let Some(decision) = decision.filter(|decision| !testimony.alive && decision.verdict != Verdict::Allow) else {
            continue;
        };
        let here = match end {
            End::Source => evidence.left_source == 0 && evidence.reached_destination == 0,
            End::Destination => evidence.reached_destination > 0,
        };
        if !here {
            continue;
        }
        if !evidence.listener_proven {
            return Some(Outcome::Unproven("the listener is not proven".into()));
        }
        let wanted = format!("{} {}", decision.verdict, decision.rule);
        let risen = testimony.counted.iter().any(|(comment, by)| *comment == wanted && *by > 0);
        if risen && testimony.counters.is_empty() {
            return Some(Outcome::Counted(end, decision.verdict, decision.rule.clone()));
        }
        return Some(Outcome::Unproven(format!(
            "the {end}'s agent is dead, and the kernel's counter of `{wanted}` does not show it"
        )));
    }
    None
}

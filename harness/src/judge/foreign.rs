//! VMs at which somebody else enforces: nothing is recorded there, so the ends and the wire alone tell what became of a
//! probe. Silence counts where a fence has come back behind it, and the listener is proven.

use policy::{End, FlowService, Verdict};
use reports::event::FindingKind;

use super::outcome::{Outcome, vm_at};
use super::{Fault, is_interception};
use crate::evidence::{Client, Evidence, Fence, SessionEvidence, Wire};
use crate::plan::{Decision, PlannedCell, PlannedSession, ends};

/// What the kernel says to a socket whose packet its own rules have dropped.
const DROPPED: &str = "EPERM";
/// What a socket hears of an answer by ICMP that something is prohibited.
const PROHIBITED: [&str; 2] = ["EHOSTUNREACH", "EACCES"];

/// Whether somebody else enforces at an end: the policy holds there, and no agent of ours does.
pub(super) fn is_at(cell: &PlannedCell, evidence: &Evidence, end: End) -> bool {
    let testimony = match end {
        End::Source => &evidence.source_end,
        End::Destination => &evidence.destination_end,
    };
    testimony.is_none() && decision(cell, end).is_some()
}

fn decision(cell: &PlannedCell, end: End) -> Option<&Decision> {
    match end {
        End::Source => cell.ends.source.as_ref(),
        End::Destination => cell.ends.destination.as_ref(),
    }
}

/// What stands in a finding in the place of an agent's testimony.
pub(super) fn words(cell: &PlannedCell, end: End) -> String {
    no_record(&vm_at(cell, end))
}

/// The same of a VM.
pub(super) fn no_record(vm: &impl std::fmt::Display) -> String {
    format!("`{vm}` is enforced by others: no record exists for this VM")
}

/// What became of a probe that was neither delivered nor recorded, where it ended at such a VM.
pub(super) fn witnessed(cell: &PlannedCell, evidence: &Evidence) -> Option<Outcome<'static>> {
    match (evidence.left_source, evidence.reached_destination) {
        (0, 0) if is_at(cell, evidence, End::Source) => at_source(cell, evidence),
        (_, 1..) if evidence.answers_left > 0 && evidence.client == Client::Silence => unheard(cell, evidence),
        (_, 1..) if is_at(cell, evidence, End::Destination) => Some(at_destination(cell, evidence)),
        (_, _) => None,
    }
}

fn at_source(cell: &PlannedCell, evidence: &Evidence) -> Option<Outcome<'static>> {
    if !evidence.listener_proven {
        return Some(Outcome::Unproven("the listener is not proven".into()));
    }
    match &evidence.client {
        Client::Refused => Some(stopped_by(cell, End::Source, Verdict::Reject)),
        Client::Unreachable(why) if why == DROPPED => Some(stopped_by(cell, End::Source, Verdict::Deny)),
        Client::Unreachable(why) if PROHIBITED.contains(&why.as_str()) => {
            Some(stopped_by(cell, End::Source, Verdict::Reject))
        }
        Client::Silence => Some(silenced(cell, evidence, End::Source)),
        Client::Answered | Client::Reset | Client::Unreachable(_) | Client::Failed(_) => None,
    }
}

fn at_destination(cell: &PlannedCell, evidence: &Evidence) -> Outcome<'static> {
    match &evidence.client {
        Client::Refused | Client::Unreachable(_) => stopped_by(cell, End::Destination, Verdict::Reject),
        Client::Reset => {
            Outcome::Unproven("the connection stood, and was reset before the listener had the probe".into())
        }
        Client::Answered | Client::Silence | Client::Failed(_) => silenced(cell, evidence, End::Destination),
    }
}

/// Silence speaks where nothing can be under way.
fn silenced(cell: &PlannedCell, evidence: &Evidence, end: End) -> Outcome<'static> {
    if evidence.taken_out {
        let why = "a program takes packets out of the kernel to judge them, and no fence goes behind these";
        return Outcome::Unproven(why.into());
    }
    match evidence.fence {
        Fence::Returned => stopped_by(cell, end, Verdict::Deny),
        Fence::NotNeeded | Fence::Lost => Outcome::Unproven("nothing came back, and no fence did".into()),
    }
}

/// The destination has answered, and the client heard nothing.
fn unheard(cell: &PlannedCell, evidence: &Evidence) -> Option<Outcome<'static>> {
    let here = evidence.answers_reached > 0 && is_at(cell, evidence, End::Source);
    (here && !evidence.taken_out).then_some(Outcome::AnswerStopped)
}

/// Only over TCP can the two ways to intercept be told apart: the ICMP answer is nobody's due.
fn stopped_by(cell: &PlannedCell, end: End, seen: Verdict) -> Outcome<'static> {
    let expected = decision(cell, end).map(|decision| decision.verdict).filter(|verdict| *verdict != Verdict::Allow);
    let verdict = match cell.service {
        FlowService::Tcp(_) => seen,
        FlowService::Udp(_) | FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => {
            expected.unwrap_or(seen)
        }
    };
    Outcome::Witnessed(end, verdict)
}

/// A probe that was stopped at such a VM, against the expectation. Its rule is nobody's to name.
pub(super) fn stopped(cell: &PlannedCell, evidence: &Evidence, (end, verdict): (End, Verdict)) -> Vec<Fault> {
    let expected = &cell.expected;
    if !is_interception(expected.verdict) {
        return vec![Fault::new(FindingKind::Overblock, format!("it was stopped at the {end}"))];
    }
    if let Some(wanted) = expected.end.filter(|wanted| *wanted != end) {
        return vec![Fault::new(FindingKind::Misplaced, format!("stopped at the {end}, expected at the {wanted}"))];
    }
    if ends::word(verdict) != expected.verdict {
        let answer = if verdict == Verdict::Reject { "an answer came" } else { "no RST came" };
        return vec![Fault::new(FindingKind::WrongAction, format!("{} is expected, and {answer}", expected.verdict))];
    }
    unknown_would(cell, evidence)
}

/// An answer that was stopped on its way back, against the expectation: a probe that is to be intercepted came through.
pub(super) fn answer_stopped(cell: &PlannedCell) -> Vec<Fault> {
    let fault = match is_interception(cell.expected.verdict) {
        true => Fault::new(FindingKind::Leak, "it should be intercepted, and the destination answered it"),
        false => {
            Fault::new(FindingKind::Overblock, "the destination answered, and the answer was stopped at the source")
        }
    };
    vec![fault]
}

/// Whether the policy has an allow decided by a rule at an end where nobody names rules.
pub(super) fn decides_by(cell: &PlannedCell, evidence: &Evidence, (rule, end): (&str, Option<End>)) -> bool {
    [End::Source, End::Destination].into_iter().any(|at| {
        end.is_none_or(|wanted| wanted == at)
            && is_at(cell, evidence, at)
            && decision(cell, at).is_some_and(|decision| decision.rule == rule)
    })
}

/// A delivered probe whose answer did not come back, where such a VM is on the way.
pub(super) fn lost_the_answer(cell: &PlannedCell, evidence: &Evidence) -> bool {
    let foreign = [End::Source, End::Destination].into_iter().any(|end| is_at(cell, evidence, end));
    foreign && evidence.fence == Fence::Returned && evidence.tap_losses == 0 && !evidence.taken_out
}

/// What the scenario says would have been decided at such a VM, nobody tells.
pub(super) fn unknown_would(cell: &PlannedCell, evidence: &Evidence) -> Vec<Fault> {
    let Some(would) = cell.claimed.as_ref().and_then(|claimed| claimed.would.as_ref()) else { return Vec::new() };
    let recorded = evidence.source_end.is_some() || evidence.destination_end.is_some();
    let foreign = |end: &End| is_at(cell, evidence, *end) && would.end.map_or(!recorded, |wanted| wanted == *end);
    let at = [End::Source, End::Destination].into_iter().find(foreign);
    let says = |end: End| format!("nobody records at the {end} what would have been decided there");
    at.map(|end| Fault::new(FindingKind::Unproven, says(end))).into_iter().collect()
}

/// Whether somebody else enforces at an end of a session.
pub(super) fn enforces(session: &PlannedSession, evidence: &SessionEvidence, end: End) -> bool {
    let testimony = match end {
        End::Source => &evidence.source_end,
        End::Destination => &evidence.destination_end,
    };
    testimony.is_none() && decides(session, end).is_some()
}

fn decides(session: &PlannedSession, end: End) -> Option<&Decision> {
    match end {
        End::Source => session.ends.source.as_ref(),
        End::Destination => session.ends.destination.as_ref(),
    }
}

/// The end at which a session was cut, where that is such a VM: it stood, and then packets of its next messages did not leave that
/// end, or came up to it and were not accepted, although a fence behind them has come back.
pub(super) fn severed(session: &PlannedSession, evidence: &SessionEvidence) -> Option<End> {
    let at = ended_at(evidence).filter(|_| !evidence.taken_out)?;
    enforces(session, evidence, at).then_some(at)
}

/// The end at which the last messages of a session that stood came to nothing.
pub(super) fn ended_at(evidence: &SessionEvidence) -> Option<End> {
    let proven = evidence.stood && evidence.fence == Fence::Returned && evidence.tap_losses == 0;
    let Wire { left_source, reached_destination, left_destination, reached_source } = evidence.wire;
    let ended = |(sent, received): (u64, u64), (left, reached): (u64, u64), (from, to): (End, End)| {
        match (left, reached) {
            _ if received >= sent => None,
            (0, 0) => Some(from),
            (1.., 1..) => Some(to),
            // What is lost on the way, or was not seen by a tap, tells nothing of the ends.
            (0, 1..) | (1.., 0) => None,
        }
    };
    let forward = (evidence.sent_forward, evidence.received_forward);
    let backward = (evidence.sent_backward, evidence.received_backward);
    let there = ended(forward, (left_source, reached_destination), (End::Source, End::Destination));
    let back = || ended(backward, (left_destination, reached_source), (End::Destination, End::Source));
    there.or_else(back).filter(|_| proven)
}

/// A cut at such a VM, against the policy and the claim.
pub(super) fn misplaced(session: &PlannedSession, at: End, claimed: Option<End>) -> Option<Fault> {
    let permits = decides(session, at).is_none_or(|decision| decision.verdict == Verdict::Allow);
    let why = match claimed.filter(|claimed| session.claimed && *claimed != at) {
        Some(claimed) => format!("it was cut at the {at}, expected at the {claimed}"),
        None if permits => format!("it was cut at the {at}, which permits it"),
        None => return None,
    };
    Some(Fault::new(FindingKind::Misplaced, why))
}

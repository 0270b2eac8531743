//! VMs at which somebody else enforces: nothing is recorded there, so the ends and the wire alone tell what became of a
//! probe. Silence counts where a fence has come back behind it, and the listener is proven.

use policy::{End, FlowService, Verdict};
use reports::event::FindingKind;

use super::outcome::{Outcome, vm_at};
use super::{Fault, is_interception};
use crate::evidence::{Client, Evidence, Fence};
use crate::plan::{Decision, PlannedCell, ends};

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
    format!("`{}` is enforced by others: no record exists for this VM", vm_at(cell, end))
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

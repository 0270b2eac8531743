//! Where the cause lies of an expectation about records, agents or ports that does not hold.

use policy::{End, Verdict};
use reports::diagnosis::Blame;
use reports::event::{FindingKind, Word};

use super::Reason;
use crate::plan::{Decision, PlannedCell, PlannedStep, ends};
use crate::scenario::{Claim, ReportClaim};

/// The cause, where what is known of the step tells.
pub(in crate::judge) fn of_event(kind: FindingKind, step: &PlannedStep, claim: &Claim) -> Option<Reason> {
    match claim {
        Claim::PortStopped { .. } => Some((Blame::Harness, "it is the bench's own hosts that guard ports")),
        _ if kind != FindingKind::Unmet => None,
        Claim::Report(claim) => report(step, claim),
        Claim::AckedByAll { .. } => Some((Blame::Agent, "agents acknowledge otherwise than their center publishes")),
        Claim::Balanced => Some((Blame::Agent, "what agents told is not what the kernels counted")),
        Claim::Flow(_)
        | Claim::Session { .. }
        | Claim::PathMtu { .. }
        | Claim::Agent { .. }
        | Claim::CenterBelow { .. } => None,
    }
}

/// What rules that no policy has are called by: of them the oracle knows nothing.
const OWN: &str = "eastwest/";

/// Either the policy decides what is to be told, or it does not: then nobody can tell it.
fn report(step: &PlannedStep, claim: &ReportClaim) -> Option<Reason> {
    let is_own = claim.rule.as_ref().is_some_and(|rule| rule.starts_with(OWN));
    let of_a_flow = claim.about.is_none() && claim.word != Some(Word::Cut) && !is_own;
    let mut cells = step.cells.iter().filter(|cell| of_a_flow && concerns(claim, cell)).peekable();
    cells.peek()?;
    Some(match cells.any(|cell| is_decided(claim, cell)) == claim.absent {
        true => (Blame::Policy, "what the policy decides of this flow is not what the scenario expects to be told"),
        false => (Blame::Agent, "what agents tell of this flow is not what the policy decides"),
    })
}

fn concerns(claim: &ReportClaim, cell: &PlannedCell) -> bool {
    claim.source.as_ref().is_some_and(|glob| glob.matches(&cell.source))
        && claim.destination.as_ref().is_some_and(|glob| glob.matches(&cell.destination))
        && claim.service == Some(cell.service)
}

/// Whether an end decides as the claim has it; without verdict and rule, interceptions are meant.
fn is_decided(claim: &ReportClaim, cell: &PlannedCell) -> bool {
    let is = |decision: &Decision| match claim.word {
        Some(word) => word == ends::word(decision.verdict),
        None => claim.rule.is_some() || decision.verdict != Verdict::Allow,
    };
    let named = |decision: &Decision| claim.rule.as_ref().is_none_or(|rule| *rule == decision.rule);
    let both = [(End::Source, &cell.ends.source), (End::Destination, &cell.ends.destination)];
    both.into_iter().any(|(end, decision)| {
        claim.end.is_none_or(|wanted| wanted == end)
            && decision.as_ref().is_some_and(|decision| is(decision) && named(decision))
    })
}

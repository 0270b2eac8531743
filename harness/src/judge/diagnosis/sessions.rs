//! Where the cause of what is wrong with a session lies.

use policy::Verdict;
use reports::diagnosis::Blame;
use reports::event::FindingKind;

use super::super::{foreign, session};
use super::Reason;
use crate::evidence::{Fence, SessionEvidence};
use crate::plan::{PlannedSession, ruling};
use crate::scenario::SessionClaim;

/// The cause, where the evidence tells.
pub(in crate::judge) fn of_session(
    kind: FindingKind,
    planned: &PlannedSession,
    evidence: &SessionEvidence,
) -> Option<Reason> {
    if is_as_the_policy_says(planned, evidence) {
        return Some((Blame::Policy, "the agents did what the policy says, and the scenario expects something else"));
    }
    match kind {
        FindingKind::Leak => Some((Blame::Agent, "the policy forbids it, and what enforces at its ends let it go on")),
        FindingKind::Disturbed => Some(disturbed(evidence)),
        FindingKind::Unreachable => Some((Blame::Path, "the path between its ends is cut")),
        FindingKind::Misattributed | FindingKind::Misplaced | FindingKind::Late => {
            Some((Blame::Agent, "what cut it is not what decides by the policy that was in force"))
        }
        FindingKind::Unreported | FindingKind::Phantom => {
            Some((Blame::Agent, "what an agent told is not what became of the session"))
        }
        FindingKind::Unproven => lost(evidence),
        FindingKind::Overblock
        | FindingKind::Disagreement
        | FindingKind::WrongAction
        | FindingKind::Refused
        | FindingKind::Unmet
        | FindingKind::NotRun
        | FindingKind::HarnessError => None,
    }
}

/// Whether nothing would be wrong if the scenario claimed nothing of its own.
fn is_as_the_policy_says(planned: &PlannedSession, evidence: &SessionEvidence) -> bool {
    let decided = ruling(&planned.ends);
    let expected = match decided.verdict {
        Verdict::Allow => SessionClaim::Alive,
        Verdict::Deny | Verdict::Reject => SessionClaim::Cut { rule: decided.rule, end: decided.end },
    };
    let plain = PlannedSession { expected, claimed: false, ..planned.clone() };
    planned.claimed && session::faults(&plain, evidence).is_empty()
}

/// A frame that no rule judges, or the wire itself, tells of the path.
fn lost(evidence: &SessionEvidence) -> Option<Reason> {
    if evidence.tap_losses > 0 {
        return Some((Blame::Harness, "the bench lost frames that it was to see"));
    }
    (evidence.fence == Fence::Lost).then_some((Blame::Path, "a frame that no rule judges did not come through"))
}

fn disturbed(evidence: &SessionEvidence) -> Reason {
    let cut = evidence.source_end.iter().chain(&evidence.destination_end).any(|end| !end.records.is_empty());
    if cut || evidence.client_reset || evidence.server_reset || foreign::ended_at(evidence).is_some() {
        return (Blame::Agent, "the policy permits it, and what enforces at one of its ends did not");
    }
    lost(evidence).unwrap_or((Blame::Path, "what left one end did not come up to the other"))
}

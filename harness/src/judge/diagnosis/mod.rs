//! Where the cause of a finding lies, from the evidence alone. A second look, later, tells late from never.

mod events;
mod sessions;

use policy::End;
use reports::diagnosis::Blame;
use reports::event::{Finding, FindingKind};

use super::compare;
use super::outcome::{Outcome, interception, vm_at};
use crate::evidence::{Client, Evidence, Fence};
use crate::plan::{PlannedCell, ends};

pub(super) use self::events::of_event;
pub(super) use self::sessions::of_session;

/// Why it is so, for people.
type Reason = (Blame, &'static str);

/// The cause of what is wrong with a probe, where the evidence tells.
pub(super) fn of(kind: FindingKind, cell: &PlannedCell, evidence: &Evidence, outcome: &Outcome<'_>) -> Option<Reason> {
    if is_as_the_policy_says(cell, evidence, outcome) {
        return Some((Blame::Policy, "the agents did what the policy says, and the scenario expects something else"));
    }
    match kind {
        FindingKind::Refused => {
            Some((Blame::Listener, "the path and the agents let it pass, and nothing listened at the destination"))
        }
        FindingKind::Unreachable => Some((Blame::Path, "it left its source, and the path to the destination is cut")),
        FindingKind::Late => {
            Some((Blame::Agent, "an agent judged by an older policy than the one that it had acknowledged"))
        }
        FindingKind::Leak
        | FindingKind::Overblock
        | FindingKind::Misattributed
        | FindingKind::Misplaced
        | FindingKind::WrongAction => Some((
            Blame::Agent,
            "the policy was in force by all that was said, and what enforces at one of the ends did something else",
        )),
        FindingKind::Unreported | FindingKind::Phantom => {
            Some((Blame::Agent, "what an agent told is not what became of the packets"))
        }
        FindingKind::Unproven => unproven(cell, evidence),
        FindingKind::Disagreement
        | FindingKind::Disturbed
        | FindingKind::Unmet
        | FindingKind::NotRun
        | FindingKind::HarnessError => by_kind(kind),
    }
}

/// What a kind of finding alone tells.
fn by_kind(kind: FindingKind) -> Option<Reason> {
    if kind == FindingKind::Disagreement {
        return Some((
            Blame::Policy,
            "the scenario expects something else than the policy says; one of the two is wrong",
        ));
    }
    (kind == FindingKind::HarnessError).then_some((Blame::Harness, "the test bench could not do what it was to do"))
}

/// Whether nothing would be wrong if the scenario claimed nothing of its own.
fn is_as_the_policy_says(cell: &PlannedCell, evidence: &Evidence, outcome: &Outcome<'_>) -> bool {
    let expected = ends::expected(None, &cell.ends, cell.cut);
    let plain = PlannedCell { claimed: None, expected, ..cell.clone() };
    cell.claimed.is_some() && compare::faults(&plain, evidence, outcome).is_empty()
}

/// What is missing, from the nearest to the farthest: the bench, the path, the listener. That an agent does not tell what it
/// did, or accounts differ, may follow from what is wrong with other flows.
fn unproven(cell: &PlannedCell, evidence: &Evidence) -> Option<Reason> {
    let silent = matches!(evidence.client, Client::Silence);
    let unseen = evidence.left_source == 0 || evidence.reached_destination == 0;
    // An agent cannot know a packet that never came to it.
    let told = evidence
        .destination_end
        .as_ref()
        .is_some_and(|testimony| interception(vm_at(cell, End::Destination), testimony, evidence).is_some());
    if evidence.tap_losses > 0 {
        return Some((Blame::Harness, "the bench lost frames that it was to see"));
    }
    if evidence.client == Client::Answered && (!evidence.delivered || unseen)
        || told && evidence.reached_destination == 0
    {
        return Some((Blame::Harness, "it came through, and a witness of the bench did not see it"));
    }
    if evidence.fence == Fence::Lost && !evidence.path_cut {
        return Some((Blame::Path, "a frame that no rule judges did not come through between the two"));
    }
    if evidence.delivered && silent {
        return Some((Blame::Listener, "the destination's program had it, the path is whole, and no answer came"));
    }
    (!evidence.listener_proven)
        .then_some((Blame::Listener, "the destination's program does not answer over loopback either"))
}

/// Gives findings that have no diagnosis of their own what can be said of them beside the others of their step.
pub(super) fn complete(findings: &mut [Finding]) {
    let others = [Blame::Harness, Blame::Path, Blame::Listener];
    let other = others.into_iter().find(|blame| findings.iter().any(|finding| finding.diagnosis == Some(*blame)));
    for finding in findings.iter_mut().filter(|finding| finding.diagnosis.is_none()) {
        let reason = match (finding.kind, other) {
            (FindingKind::Unproven, Some(blame)) => Some((blame, "it follows from what is wrong with other flows")),
            (FindingKind::Unproven, None) => {
                Some((Blame::Agent, "an agent does not tell what it did, or not what the kernel counted"))
            }
            (kind, _) => by_kind(kind),
        };
        reason.iter().for_each(|(blame, why)| finding.diagnose(*blame, why));
    }
}

/// What a second look tells, `millis` after the first: whether the flow was as expected then.
pub(crate) fn seen_again(finding: &mut Finding, fits: bool, millis: u128) {
    let late = format!("it was as expected {millis} ms later: an agent acknowledged the policy before it held");
    match (finding.diagnosis, fits) {
        (Some(Blame::Agent), true) => finding.diagnose(Blame::Late, &late),
        (Some(Blame::Agent), false) => {
            let never = format!(
                "it was no other {millis} ms later: what enforces at one of its ends does something else than the policy says"
            );
            finding.diagnose(Blame::Agent, &never);
        }
        (Some(Blame::Policy | Blame::Late | Blame::Path | Blame::Listener | Blame::Harness) | None, _) => {}
    }
}

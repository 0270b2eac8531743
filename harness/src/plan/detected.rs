//! What detectors bring about. The oracle judges single flows and knows nothing of them: where a scenario claims that a
//! detector denies, the claim stands in the oracle's place at that end.

use policy::{Builtin, Detector, End, Response, Verdict};

use super::{Decision, Ends};
use crate::scenario::Expected;
use crate::state::State;

/// The ends' decisions, with what a claim says of a detector's doing.
pub(super) fn ends(state: &State, claimed: Option<&Expected>, mut ends: Ends) -> Ends {
    let Some(claimed) = claimed else { return ends };
    if let Some(rule) = claimed.rule.as_deref().filter(|rule| is_of(state, rule)) {
        put(&mut ends, rule, claimed.end);
    }
    ends
}

/// Has a detector deny at an end; where none is named, at the destination if an agent is there.
pub(super) fn put(ends: &mut Ends, rule: &str, end: Option<End>) {
    let decision = Decision { verdict: Verdict::Deny, rule: rule.to_owned(), would: None };
    let place = match end {
        Some(End::Source) => &mut ends.source,
        Some(End::Destination) => &mut ends.destination,
        None if ends.destination.is_some() => &mut ends.destination,
        None => &mut ends.source,
    };
    if let Some(decided) = place {
        *decided = decision;
    }
}

/// Whether a rule's verdicts come from a detector of the state's policy.
pub(super) fn is_of(state: &State, rule: &str) -> bool {
    let quarantines = || {
        let detectors = state.policy.iter().flat_map(|policy| &policy.policy.detect);
        detectors.into_iter().any(|detector| matches!(detector.then, Response::Quarantine(_)))
    };
    rule.starts_with(Detector::PREFIX) || (rule == Builtin::Quarantine.name() && quarantines())
}

//! What a classifier says of a flow: small values that name rules by their numbers.

use crate::{Builtin, End, Verdict};

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decider {
    /// A rule, by its place in [`crate::Policy::rules`].
    Rule(u32),
    /// The policy's default.
    Default,
    /// A built-in rule.
    Builtin(Builtin),
}

impl Decider {
    /// The place of a rule in [`crate::Policy::rules`].
    #[must_use]
    pub fn rule(self) -> Option<usize> {
        match self {
            Self::Rule(number) => Some(number as usize),
            Self::Default | Self::Builtin(_) => None,
        }
    }
}

/// What one end decides, if what only records is left out, or taken as live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decision {
    /// Its verdict.
    pub verdict: Verdict,
    /// What gave it.
    pub decider: Decider,
}

/// What one managed end says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndJudged {
    /// Its decision.
    pub acted: Decision,
    /// Its decision were every monitor rule live; equal to the other where nothing would change.
    pub live: Decision,
}

/// A decision of both ends together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What gave it; `None` where no managed end judged.
    pub decider: Option<Decider>,
    /// The first end that denies; `None` for an allow.
    pub end: Option<End>,
}

/// A judged flow: what [`crate::Ruling`] says, with rules by their numbers, and what each end said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Judged {
    /// What the source's agent says; `None` without one.
    pub source: Option<EndJudged>,
    /// What the destination's agent says; `None` without one.
    pub destination: Option<EndJudged>,
    /// Both together.
    pub outcome: Outcome,
    /// What it would be were every monitor rule live, where that differs in verdict or decider.
    pub would: Option<Outcome>,
}

impl Judged {
    /// From what the ends say: the first that denies decides; else it is allowed, by the destination's rule if it has one.
    #[inline]
    pub(crate) fn of(source: Option<EndJudged>, destination: Option<EndJudged>) -> Self {
        let outcome = together(source.map(|end| end.acted), destination.map(|end| end.acted));
        let only_acts = |end: Option<EndJudged>| end.is_none_or(|end| end.acted == end.live);
        if only_acts(source) && only_acts(destination) {
            return Self { source, destination, outcome, would: None };
        }
        let live = together(source.map(|end| end.live), destination.map(|end| end.live));
        Self { source, destination, outcome, would: differing(outcome, live) }
    }

    /// A flow from or to a loopback address passes wherever it is judged.
    pub(crate) fn loopback(self) -> Self {
        let decider = Some(Decider::Builtin(Builtin::Loopback));
        Self { outcome: Outcome { verdict: Verdict::Allow, decider, end: None }, would: None, ..self }
    }
}

/// What live rules would decide, where that differs in verdict or decider.
#[inline]
pub(crate) fn differing(outcome: Outcome, live: Outcome) -> Option<Outcome> {
    ((outcome.verdict, outcome.decider) != (live.verdict, live.decider)).then_some(live)
}

/// Both ends together; an end without an agent passes everything.
#[inline]
pub(crate) fn together(source: Option<Decision>, destination: Option<Decision>) -> Outcome {
    let denied = |decision: &Decision| decision.verdict != Verdict::Allow;
    let by = |decision: Decision, end| Outcome { verdict: decision.verdict, decider: Some(decision.decider), end };
    match (source, destination) {
        (Some(source), _) if denied(&source) => by(source, Some(End::Source)),
        (_, Some(destination)) if denied(&destination) => by(destination, Some(End::Destination)),
        (_, Some(passing)) | (Some(passing), None) => by(passing, None),
        (None, None) => Outcome { verdict: Verdict::Allow, decider: None, end: None },
    }
}

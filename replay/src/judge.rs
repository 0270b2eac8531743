//! Who judges a flow, and what is said of it in few bytes.

use policy::classify::{Classifier, Outcome};
use policy::{Builtin, End, Flow, Policy, Verdict, classify};

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decider {
    /// The rule at this place of the policy's rules, from 0.
    Rule(u32),
    /// The policy's default.
    Default,
    /// A rule that is built in.
    Builtin(Builtin),
    /// Nobody: no managed end judges the flow.
    Nobody,
}

/// What is said of a flow: its verdict, who decided, and at which end it is intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Who decided, as a ruling attributes it.
    pub by: Decider,
    /// The first end that denies; `None` for an allow.
    pub end: Option<End>,
}

/// A policy before which flows are brought.
pub trait Judge {
    /// What it says of a flow.
    fn judge(&self, flow: &Flow) -> Judged;
}

impl Judge for Classifier {
    fn judge(&self, flow: &Flow) -> Judged {
        let Outcome { verdict, decider, end } = Classifier::judge(self, flow).outcome;
        let by = match decider {
            Some(classify::Decider::Rule(place)) => Decider::Rule(place),
            Some(classify::Decider::Default) => Decider::Default,
            Some(classify::Decider::Builtin(builtin)) => Decider::Builtin(builtin),
            None => Decider::Nobody,
        };
        Judged { verdict, by, end }
    }
}

impl Judged {
    /// Whether the flow passes.
    #[inline]
    #[must_use]
    pub fn passes(self) -> bool {
        match self.verdict {
            Verdict::Allow => true,
            Verdict::Deny | Verdict::Reject => false,
        }
    }

    /// As few bits as possible, for look-ups.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        let verdict = match self.verdict {
            Verdict::Allow => 0,
            Verdict::Deny => 1,
            Verdict::Reject => 2,
        };
        let end = match self.end {
            None => 0,
            Some(End::Source) => 1,
            Some(End::Destination) => 2,
        };
        let by = match self.by {
            Decider::Rule(place) => u64::from(place) << 8,
            Decider::Default => 1,
            Decider::Builtin(builtin) => 3 + builtin as u64,
            Decider::Nobody => 2,
        };
        by << 4 | end << 2 | verdict
    }
}

impl Decider {
    /// Its full name; `None` where nobody decided.
    #[must_use]
    pub fn name(self, policy: &Policy) -> Option<String> {
        match self {
            Self::Rule(place) => {
                Some(policy.rules.get(place as usize).map_or_else(|| place.to_string(), policy::Rule::full_name))
            }
            Self::Default => Some("default".to_owned()),
            Self::Builtin(builtin) => Some(builtin.name().to_owned()),
            Self::Nobody => None,
        }
    }
}

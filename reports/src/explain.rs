//! What each kind of finding means, for someone who never heard of it.

use crate::event::{FindingKind, Word};

impl FindingKind {
    /// What it means, as one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Leak => "Traffic that should have been intercepted was delivered.",
            Self::Overblock => "Traffic that should have been delivered was intercepted.",
            Self::Unreported => {
                "The traffic was intercepted as it should be, but the agent did not tell the control center of it."
            }
            Self::Misattributed => "The verdict is right, but another rule than the expected one gave it.",
            Self::Misplaced => {
                "The traffic was intercepted, but at the other end: at the destination instead of the source, or the reverse."
            }
            Self::Phantom => "The agent reported an interception that did not happen.",
            Self::Late => {
                "The verdict belongs to an older policy than the one that the agents had already said to enforce."
            }
            Self::Disturbed => "A connection that the policy permits broke.",
            Self::Disagreement => {
                "The scenario and the plain meaning of the policy differ, so one of the two is wrong; no packet is at fault."
            }
            Self::WrongAction => {
                "The traffic was intercepted in another way than expected: dropped in silence where it should have been refused \
                 with an answer, or the reverse."
            }
            Self::Refused => {
                "The traffic reached its destination, but no program listened there, so nothing was served to it."
            }
            Self::Unreachable => {
                "The path between the two was cut or missing, so that the policy was not what stopped the traffic."
            }
            Self::Unproven => {
                "What the independent witnesses saw does not suffice to say what became of the traffic, and nothing is assumed."
            }
            Self::Unmet => "An event, a state or the outcome of a program was not as the scenario expects it.",
            Self::NotRun => "The expectation was never tried, and what was not tried does not count as fulfilled.",
            Self::HarnessError => "The test bench itself failed, so this says nothing about the policy or the agents.",
        }
    }
}

impl Word {
    /// What it means, as a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Allow => "delivered and answered",
            Self::Deny => "intercepted in silence",
            Self::Reject => "intercepted with an answer",
            Self::Cut => "a living connection was cut",
            Self::Refused => "reached, and nothing listens there",
            Self::Unreachable => "the path is cut",
            Self::Unproven => "not proven either way",
        }
    }

    /// The sign in truth tables; for verdicts the one of the scenario language.
    pub(crate) fn glyph(self) -> &'static str {
        match self {
            Self::Allow => "+",
            Self::Deny => "x",
            Self::Reject => "!",
            Self::Cut => "c",
            Self::Refused => "o",
            Self::Unreachable => "u",
            Self::Unproven => "?",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [FindingKind; 16] = [
        FindingKind::Leak,
        FindingKind::Overblock,
        FindingKind::Unreported,
        FindingKind::Misattributed,
        FindingKind::Misplaced,
        FindingKind::Phantom,
        FindingKind::Late,
        FindingKind::Disturbed,
        FindingKind::Disagreement,
        FindingKind::WrongAction,
        FindingKind::Refused,
        FindingKind::Unreachable,
        FindingKind::Unproven,
        FindingKind::Unmet,
        FindingKind::NotRun,
        FindingKind::HarnessError,
    ];

    #[test]
    fn each_kind_has_one_sentence_of_its_own() {
        for kind in ALL {
            let meaning = kind.meaning();
            assert_eq!(meaning.matches('.').count(), 1, "{kind}: {meaning}");
            assert!(meaning.ends_with('.') && !meaning.contains("  "), "{kind}: {meaning}");
            assert_eq!(ALL.iter().filter(|other| other.meaning() == meaning).count(), 1, "{kind}");
        }
    }
}

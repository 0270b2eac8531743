//! The words of reports as text.

use std::fmt;

use crate::event::{Finding, FindingKind, ScenarioOutcome, Word};

impl FindingKind {
    /// The word, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Overblock => "overblock",
            Self::Unreported => "unreported",
            Self::Misattributed => "misattributed",
            Self::Misplaced => "misplaced",
            Self::Phantom => "phantom",
            Self::Late => "late",
            Self::Disturbed => "disturbed",
            Self::Disagreement => "disagreement",
            Self::WrongAction => "wrong-action",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Unproven => "unproven",
            Self::Unmet => "unmet",
            Self::NotRun => "not-run",
            Self::HarnessError => "harness-error",
        }
    }
}

impl Word {
    /// The word, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
            Self::Cut => "cut",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Unproven => "unproven",
        }
    }
}

impl ScenarioOutcome {
    /// The word, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

impl Finding {
    /// The flow that the finding is about, as a scenario would write it; empty where it is about none.
    #[must_use]
    pub fn flow(&self) -> String {
        let mut text = String::new();
        if let Some(source) = &self.source {
            text.push_str(source);
        }
        if let Some(destination) = &self.destination {
            text.push_str(" -> ");
            text.push_str(destination);
        }
        if let Some(service) = &self.service {
            text.push(' ');
            text.push_str(service);
        }
        text
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ScenarioOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

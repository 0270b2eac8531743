//! The words of reports as text.

use std::fmt;

use crate::event::{Finding, FindingKind, ScenarioOutcome, Side, Word};
use crate::run::{Run, Totals};

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

impl ScenarioOutcome {
    /// Whether something was not as expected, or could not be carried out.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::Error => true,
            Self::Passed | Self::Skipped => false,
        }
    }
}

impl Finding {
    /// What stands beside what the scenario expects: what was observed, or what the policy says, for which no packet is needed.
    pub(crate) fn other_side(&self) -> &'static str {
        if self.kind == FindingKind::Disagreement { "policy" } else { "observed" }
    }

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

    /// The flow with its family behind it; empty where it is about none.
    pub(crate) fn flow_and_family(&self) -> String {
        let family = self.family.map(|family| format!(" {family}")).unwrap_or_default();
        if self.source.is_none() { String::new() } else { format!("{}{family}", self.flow()) }
    }

    /// The flow with its family, or where the finding is about none its expectation.
    pub(crate) fn about(&self) -> String {
        let flow = self.flow_and_family();
        if flow.is_empty() { self.claim().to_owned() } else { flow }
    }

    /// The expectation, or where it comes from if the scenario has none.
    pub(crate) fn claim(&self) -> &str {
        match self.expectation.as_str() {
            "" if self.source.is_some() => "by the oracle: the scenario lists no such pair",
            expectation => expectation,
        }
    }
}

impl Side {
    /// As a scenario would write it: `reject by hr-reads-no-ledgers at source`.
    #[must_use]
    pub fn phrase(&self) -> String {
        let mut text = self.verdict.to_string();
        if let Some(rule) = &self.rule {
            text.push_str(&format!(" by {rule}"));
        }
        if let Some(end) = self.end {
            text.push_str(&format!(" at {end}"));
        }
        if let Some(would) = &self.would {
            text.push_str(&format!(", would {}", would.verdict));
            if let Some(rule) = &would.rule {
                text.push_str(&format!(" by {rule}"));
            }
        }
        text
    }
}

impl Run {
    /// The sums in words: `4 scenarios: 1 passed, …`.
    pub(crate) fn outcomes(&self) -> String {
        let Totals { scenarios, passed, failed, error, skipped, .. } = self.totals();
        format!("{}: {passed} passed, {failed} failed, {error} error, {skipped} skipped", count(scenarios, "scenario"))
    }

    /// How it was run and how long it took, in words.
    pub(crate) fn circumstances(&self) -> String {
        let Totals { cells, findings, known, again, by_clock, .. } = self.totals();
        let known = if known > 0 { format!(", {known} known") } else { String::new() };
        let (cells, findings) = (count(cells, "cell"), count(findings, "finding"));
        let sums = format!("{cells}, {findings}{known}, {again} again, {by_clock} by clock");
        match self.seconds {
            Some(seconds) if self.interrupted => format!("{sums}, interrupted after {seconds:.3} s"),
            Some(seconds) => format!("{sums}, in {seconds:.3} s"),
            None => format!("{sums}; the stream ends before the run does"),
        }
    }
}

/// A text of so many characters at most, with a sign where more is left out.
pub(crate) fn bounded(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text.to_owned(),
    }
}

/// Text that fits; what is left out is in the middle, for names often differ at their ends.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let end = most / 3;
    text.chars().take(most - 1 - end).chain(['…']).chain(text.chars().skip(length - end)).collect()
}

/// A number with its noun, which gets an s where it is not one.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_both_its_ends() {
        for (text, most, expected) in
            [("abcdef", 6, "abcdef"), ("abcdefg", 6, "abc…fg"), ("", 6, ""), ("äöüß", 3, "ä…ß")]
        {
            assert_eq!(shortened(text, most), expected);
        }
    }
}

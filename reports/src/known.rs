//! What is known to fail, and what expectations are called.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Finding;

/// A finding that was to come (`known: TICKET until DAY`): it is shown, and fails nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The ticket.
    pub ticket: String,
    /// The last day on which it fails nothing.
    pub until: String,
    /// The finding.
    pub finding: Finding,
}

/// What an expectation is called and whose it is, as the scenario says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_ref().map(|owner| format!("owner {owner}"));
        let words: Vec<&str> = self.id.iter().chain(&owner).map(String::as_str).collect();
        f.write_str(&words.join(", "))
    }
}

/// Findings of one expectation that are known: its line, the first of them, and how many there are.
#[derive(Clone, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) first: &'a Known,
    pub(crate) times: usize,
}

impl Expected<'_> {
    /// `NET-12 until 2027-01-31: leak of `a -> b tcp/1: deny` (web-1, owner net-team), 2 times`.
    pub(crate) fn words(&self) -> String {
        let Known { ticket, until, finding } = self.first;
        let tag = finding.tag.as_ref().map(|tag| format!(" ({tag})")).unwrap_or_default();
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        format!("{ticket} until {until}: {} of `{}`{tag}{times}", finding.kind, finding.expectation)
    }
}

/// What is known, each expectation once, in the order of their lines.
pub(crate) fn by_expectation<'a>(known: impl IntoIterator<Item = &'a Known>) -> Vec<Expected<'a>> {
    let mut found: BTreeMap<(usize, &str, &str), Expected<'a>> = BTreeMap::new();
    for one in known {
        let Finding { line, expectation, step, .. } = &one.finding;
        found.entry((*line, expectation, step)).or_insert(Expected { first: one, times: 0 }).times += 1;
    }
    found.into_values().collect()
}

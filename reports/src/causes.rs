//! Findings that have their cause in common, so that it is told once.

use std::collections::BTreeMap;

use crate::event::Finding;

/// Findings of the same kind, about the same expectation, with the same evidence.
#[derive(Clone, Debug)]
pub(crate) struct Cause<'a> {
    pub(crate) first: &'a Finding,
    pub(crate) all: Vec<&'a Finding>,
}

impl Cause<'_> {
    pub(crate) fn times(&self) -> usize {
        self.all.len()
    }

    /// What the first is about, and how many more there are.
    pub(crate) fn about(&self) -> String {
        let more = if self.times() > 1 { format!(" and {} more", self.times() - 1) } else { String::new() };
        format!("{}{more}", self.first.about())
    }
}

/// The causes, in the order in which each was first found.
pub(crate) fn causes<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Cause<'a>> {
    let mut causes: Vec<Cause<'a>> = Vec::new();
    let mut known = BTreeMap::new();
    for finding in findings {
        let key = (finding.kind, &finding.step, finding.line, &finding.expectation, &finding.detail);
        let at = *known.entry(key).or_insert(causes.len());
        match causes.get_mut(at) {
            Some(cause) => cause.all.push(finding),
            None => causes.push(Cause { first: finding, all: vec![finding] }),
        }
    }
    causes
}

//! What a replay found, as a plain value.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use policy::{End, Timestamp, Verdict};
use serde::Serialize;

use crate::judge::{Decider, Judged};
use crate::pairs::Pair;
use crate::party::Who;
use crate::replay::{Bench, Replay};
use crate::tally::{Change, Sums};

/// What is said of flows, with the names of rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Said {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that decides; `None` where no managed end judges.
    pub rule: Option<String>,
    /// The end that intercepts.
    pub end: Option<End>,
}

/// What became of the flows that one rule decides at one end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// The rule.
    #[serde(flatten)]
    pub said: Said,
    /// Its flows.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What became of the flows of one pair and one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PairRow {
    /// The source: a VM, a prefix, or others.
    pub source: String,
    /// The destination.
    pub destination: String,
    /// The service.
    pub service: String,
    /// What the draft says.
    #[serde(flatten)]
    pub said: Said,
    /// What the policy in force says, if one was given.
    pub was: Option<Said>,
    /// How the two differ.
    pub change: Change,
    /// Their flows.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Flows by how they are judged otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// They pass under the policy in force, and would be intercepted.
    pub newly_intercepted: u64,
    /// The reverse.
    pub newly_allowed: u64,
    /// By another rule, at another end or with another answer.
    pub otherwise: u64,
    /// Not otherwise.
    pub same: u64,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// All flows.
    pub all: Sums,
    /// The earliest instant that the recordings say.
    pub first: Option<Timestamp>,
    /// The latest.
    pub last: Option<Timestamp>,
    /// By rule and end, the most flows first.
    pub rules: Vec<RuleRow>,
    /// Rules of the draft that decided no flow, in their order.
    pub unused: Vec<String>,
    /// By pair and service, the most flows first.
    pub pairs: Vec<PairRow>,
    /// Flows that had no room among the pairs.
    pub beyond: Sums,
    /// How often an address had no prefix of its own.
    pub crowded: u64,
    /// Beside the policy in force, if one was given.
    pub changes: Option<Changes>,
    /// Recorded as passed, and would be intercepted.
    pub recorded_allowed_now_intercepted: u64,
    /// Recorded as intercepted, and would pass.
    pub recorded_intercepted_now_allowed: u64,
}

impl Said {
    fn of(judged: Judged, bench: &Bench<'_>) -> Self {
        Self { verdict: judged.verdict, rule: judged.by.name(bench.policy), end: judged.end }
    }
}

impl Replay<'_> {
    /// What was found so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let [intercepted, allowed] = self.tally.unlike_recorded;
        let instant = |millis: i64| Timestamp::from_millisecond(millis).ok();
        let [newly_intercepted, newly_allowed, otherwise, same] = self.tally.changes;
        Report {
            all: self.tally.all,
            first: self.tally.span.and_then(|(first, _)| instant(first)),
            last: self.tally.span.and_then(|(_, last)| instant(last)),
            rules: self.rule_rows(),
            unused: self.unused(),
            pairs: self.pair_rows(),
            beyond: self.tally.beyond,
            crowded: self.tally.crowded,
            changes: self.against.map(|_| Changes { newly_intercepted, newly_allowed, otherwise, same }),
            recorded_allowed_now_intercepted: intercepted,
            recorded_intercepted_now_allowed: allowed,
        }
    }

    fn rule_rows(&self) -> Vec<RuleRow> {
        let mut rows: Vec<(Judged, Sums)> = self.tally.rules.iter().copied().collect();
        rows.sort_by_key(|(judged, sums)| (Reverse(sums.flows), *judged));
        rows.into_iter().map(|(judged, sums)| RuleRow { said: Said::of(judged, &self.draft), sums }).collect()
    }

    fn pair_rows(&self) -> Vec<PairRow> {
        let mut rows: Vec<(Pair, Sums)> = self.tally.pairs.iter().collect();
        let names = |party| self.parties.who(party);
        rows.sort_by_cached_key(|(pair, sums)| {
            let ends: (Who, Who) = (names(pair.source), names(pair.destination));
            (Reverse(sums.flows), ends, pair.service, pair.ruled.now, pair.ruled.was)
        });
        let row = |(pair, sums): (Pair, Sums)| PairRow {
            source: names(pair.source).to_string(),
            destination: names(pair.destination).to_string(),
            service: pair.service.to_string(),
            said: Said::of(pair.ruled.now, &self.draft),
            was: pair.ruled.was.zip(self.against).map(|(was, against)| Said::of(was, &against)),
            change: pair.ruled.change,
            sums,
        };
        rows.into_iter().map(row).collect()
    }

    fn unused(&self) -> Vec<String> {
        let place = |judged: &Judged| match judged.by {
            Decider::Rule(place) => Some(place),
            Decider::Default | Decider::Builtin(_) | Decider::Nobody => None,
        };
        let used: BTreeSet<u32> = self.tally.rules.iter().filter_map(|(judged, _)| place(judged)).collect();
        let rules = (0..).zip(&self.draft.policy.rules).filter(|(place, _)| !used.contains(place));
        rules.map(|(_, rule)| rule.full_name()).collect()
    }
}

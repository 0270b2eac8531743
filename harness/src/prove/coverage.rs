//! Rule coverage: which rules decided a flow that was probed, and which did not decide one next to it.

use std::collections::{BTreeMap, BTreeSet};

use oracle::Reason;
use policy::{Action, End, Family, Flow, FlowService, Name, Policy, Rule, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::{Decision, PlannedCell, PlannedStep};
use crate::state::State;

/// What was probed of every rule of a scenario's policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Rule by rule, policy by policy.
    pub rules: Vec<Covered>,
}

/// What was probed of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// The policy that it stands in.
    pub policy: String,
    /// Its full name.
    pub rule: String,
    /// Its line there.
    pub line: usize,
    /// How many probes it decided at an end; of one that passes, how many it passed on or would have.
    pub decided: usize,
    /// How many of those have a probe next to them that it did not decide: another source, destination or service alone.
    pub near_misses: usize,
}

impl Covered {
    /// Whether it decided a flow, and did not decide one next to it.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.decided > 0 && self.near_misses > 0
    }
}

impl Coverage {
    /// That of several scenarios; a policy that they share is covered by all of them together.
    #[must_use]
    pub fn joined(all: Vec<Self>) -> Self {
        let mut rules: Vec<Covered> = Vec::new();
        for rule in all.into_iter().flat_map(|one| one.rules) {
            let same = |known: &&mut Covered| {
                (&known.policy, &known.rule, known.line) == (&rule.policy, &rule.rule, rule.line)
            };
            match rules.iter_mut().find(same) {
                Some(known) => {
                    known.decided += rule.decided;
                    known.near_misses += rule.near_misses;
                }
                None => rules.push(rule),
            }
        }
        Self { rules }
    }

    /// The rules that are covered, of a hundred.
    #[must_use]
    pub fn percent(&self) -> f64 {
        let covered = self.rules.iter().filter(|rule| rule.is_covered()).count();
        if self.rules.is_empty() { 100.0 } else { 100.0 * covered as f64 / self.rules.len() as f64 }
    }
}

/// A probe at one end.
type Seen = (usize, Name, Name, FlowService, Family, bool);

/// What the probes of a plan say of the rules of its policies.
#[must_use]
pub fn coverage(steps: &[PlannedStep], now: Timestamp) -> Coverage {
    let mut by_policy: BTreeMap<(String, String), (Policy, Tally)> = BTreeMap::new();
    for (place, step) in steps.iter().enumerate().filter(|(_, step)| super::is_plain(&step.state)) {
        let Some(text) = &step.state.policy else { continue };
        let key = (text.source.clone(), text.text.clone());
        let (policy, tally) = by_policy.entry(key).or_insert_with(|| (text.policy.clone(), Tally::default()));
        step.cells.iter().for_each(|cell| tally.take(place, cell, policy, (&step.state, now)));
    }
    let rules = by_policy.into_iter().flat_map(|((source, _), (policy, tally))| {
        policy.rules.iter().map(|rule| tally.of(&source, rule)).collect::<Vec<_>>()
    });
    Coverage::joined(vec![Coverage { rules: rules.collect() }])
}

/// The probes by what decided them.
#[derive(Default)]
struct Tally {
    all: BTreeSet<Seen>,
    by_rule: BTreeMap<String, BTreeSet<Seen>>,
}

impl Tally {
    fn take(&mut self, place: usize, cell: &PlannedCell, policy: &Policy, (state, now): (&State, Timestamp)) {
        let PlannedCell { source, destination, service, family, ends, .. } = cell;
        for (decision, at_source) in [(&ends.source, true), (&ends.destination, false)] {
            let Some(decision) = decision else { continue };
            let seen = (place, source.clone(), destination.clone(), *service, *family, at_source);
            let passes = passes(policy, cell, at_source, (state, now));
            for rule in deciders(decision).into_iter().chain(passes) {
                self.by_rule.entry(rule).or_default().insert(seen.clone());
            }
            self.all.insert(seen);
        }
    }

    fn of(&self, source: &str, rule: &Rule) -> Covered {
        let name = rule.full_name();
        let none = BTreeSet::new();
        let decided = self.by_rule.get(&name).unwrap_or(&none);
        let others: BTreeSet<Around<'_>> = self.all.difference(decided).flat_map(around).collect();
        let near = |seen: &&Seen| around(seen).iter().any(|place| others.contains(place));
        let tier = rule.tier.as_ref().filter(|tier| tier.name.is_some());
        Covered {
            policy: tier.map_or(source, |tier| tier.file.as_str()).to_owned(),
            rule: name,
            line: rule.line,
            decided: decided.len(),
            near_misses: decided.iter().filter(near).count(),
        }
    }
}

/// What decided, and what would have with every monitor rule live.
fn deciders(decision: &Decision) -> Vec<String> {
    let would = decision.would.as_ref().map(|(_, rule)| rule.clone());
    std::iter::once(decision.rule.clone()).chain(would).collect()
}

/// The rules that passed a flow on at an end, or would have if they acted. Only a policy that has such is asked.
fn passes(policy: &Policy, cell: &PlannedCell, at_source: bool, (state, now): (&State, Timestamp)) -> Vec<String> {
    let passing = policy.rules.iter().filter(|rule| rule.action == Action::Pass);
    let passing: BTreeSet<String> = passing.map(Rule::full_name).collect();
    if passing.is_empty() {
        return Vec::new();
    }
    let flow = Flow { source: cell.source_address, destination: cell.destination_address, service: cell.service };
    let why = oracle::why(policy, &state.inventory(), &flow, state.now.unwrap_or(now));
    let end = if at_source { End::Source } else { End::Destination };
    let explained = [why.source, why.destination].into_iter().flatten().find(|explained| explained.end == end);
    let passed = explained.map(|explained| explained.passed).unwrap_or_default();
    let on =
        |one: &oracle::Passed| matches!(one.reason, Reason::Passes | Reason::Monitor) && passing.contains(&one.rule);
    passed.into_iter().filter(on).map(|one| one.rule).collect()
}

/// A probe with one of its three parts left open: probes that share one differ in that part alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Around<'a> {
    Source(usize, &'a Name, FlowService, Family, bool),
    Destination(usize, &'a Name, FlowService, Family, bool),
    Service(usize, &'a Name, &'a Name, Family, bool),
}

fn around(seen: &Seen) -> [Around<'_>; 3] {
    let (place, source, destination, service, family, at_source) = seen;
    [
        Around::Source(*place, destination, *service, *family, *at_source),
        Around::Destination(*place, source, *service, *family, *at_source),
        Around::Service(*place, source, destination, *family, *at_source),
    ]
}

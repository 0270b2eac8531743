//! Settles the first match: for one class of peers, what every service class gets in both directions.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Action, Builtin, End, Mode, Verdict, Would};
use wire::{View, ViewRule};

use crate::addresses::Standing;
use crate::intercept;
use crate::outcome::Outcome;

/// The rules that exist at an instant, with the service classes that each covers.
pub(crate) struct Rules<'a> {
    /// The view that they stand in.
    pub(crate) view: &'a View,
    /// Those that exist, in order.
    pub(crate) living: Vec<&'a ViewRule>,
    /// The service classes of each of their distinct services.
    pub(crate) covered: &'a [Vec<usize>],
    /// For each living rule which of those services it has.
    pub(crate) service_of: Vec<usize>,
    /// How many service classes there are.
    pub(crate) services: usize,
    /// The living rules of each set of peers, in order, by what they say of this machine.
    pub(crate) by_set: BySet,
    /// The built-in rule that denies everything, whatever the view's rules say.
    pub(crate) shut: Option<Builtin>,
    /// The sets of peers that detectors watch: where this machine is the source, and where it is the destination.
    pub(crate) watched: [BTreeSet<u32>; 2],
}

/// Which rule decides: an index into the living rules, a built-in rule, or the policy's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decider {
    /// A rule.
    Rule(usize),
    /// A built-in rule that denies.
    Builtin(Builtin),
    /// No rule matched.
    End,
}

/// What one (class of peers, service class) gets in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Who decides.
    pub(crate) decider: Decider,
    /// Who would decide with every monitor rule live.
    pub(crate) would: Decider,
    /// Whether a detector counts it.
    pub(crate) watched: bool,
}

/// In what part this machine stands in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// It sends.
    Source,
    /// It is the one meant.
    Destination,
    /// It receives what was sent to an address in these sets, and in no VM's name.
    Elsewhere(&'a BTreeSet<u32>),
    /// It receives what was sent to an unknown address.
    Unknown,
}

impl Part<'_> {
    /// Where this machine stands.
    pub(crate) fn end(self) -> End {
        match self {
            Self::Source => End::Source,
            Self::Destination | Self::Elsewhere(_) | Self::Unknown => End::Destination,
        }
    }
}

/// Rules by the set of peers for which they hold, for each part of this machine.
#[derive(Debug, Default)]
pub(crate) struct BySet {
    outbound: BTreeMap<u32, Vec<usize>>,
    inbound: BTreeMap<u32, Vec<usize>>,
    /// Each with the set of addresses that they hold for.
    elsewhere: BTreeMap<u32, Vec<(usize, u32)>>,
}

impl BySet {
    /// Of rules in order.
    pub(crate) fn of(rules: &[&ViewRule]) -> Self {
        let mut all = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            rule.outbound.into_iter().for_each(|set| all.outbound.entry(set).or_default().push(index));
            rule.inbound.into_iter().for_each(|set| all.inbound.entry(set).or_default().push(index));
            if let Some(both) = rule.elsewhere {
                all.elsewhere.entry(both.from).or_default().push((index, both.to));
            }
        }
        all
    }

    /// Those of these sets, in order.
    fn of_sets(&self, sets: &BTreeSet<u32>, part: Part<'_>) -> Vec<usize> {
        let plain = |by_set: &BTreeMap<u32, Vec<usize>>| {
            sets.iter().filter_map(|set| by_set.get(set)).flatten().copied().collect::<Vec<_>>()
        };
        let mut rules = match part {
            Part::Source => plain(&self.outbound),
            Part::Destination => plain(&self.inbound),
            Part::Elsewhere(to) => {
                let all = sets.iter().filter_map(|set| self.elsewhere.get(set)).flatten();
                all.filter(|(_, set)| to.contains(set)).map(|(rule, _)| *rule).collect()
            }
            Part::Unknown => Vec::new(),
        };
        rules.sort_unstable();
        rules
    }
}

/// What one class of peers gets in one direction: few rules hold for it, so that most service classes get the rest.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What the other service classes get.
    pub(crate) rest: Cell,
    /// Service classes with what they get, in order.
    pub(crate) cells: Vec<(usize, Cell)>,
}

/// Which service classes have found their rule, for one look after another.
pub(crate) struct Found {
    look: usize,
    /// In which look each service class has found its rule last.
    at: Vec<usize>,
    /// In which look each service class has left which tier last.
    left: Vec<(usize, u32)>,
}

impl Found {
    /// For so many service classes.
    pub(crate) fn new(services: usize) -> Self {
        Self { look: 0, at: vec![0; services], left: vec![(0, 0); services] }
    }

    /// Whether a service class finds its rule now, in this look, at a rule of this tier.
    fn is_first(&mut self, service: usize, tier: u32) -> bool {
        self.left[service] != (self.look, tier) && std::mem::replace(&mut self.at[service], self.look) != self.look
    }

    /// A service class leaves a tier, unless it has left it or found its rule already, when that changes nothing.
    fn leave(&mut self, service: usize, tier: u32) {
        self.left[service] = (self.look, tier);
    }
}

impl Rules<'_> {
    /// The row of a class, for the part that this machine has in the flow.
    pub(crate) fn row(&self, standing: &Standing, part: Part<'_>, found: &mut Found) -> Row {
        let sets = match (self.shut, standing, part) {
            (Some(rule), ..) => return denied(rule),
            (None, Standing::LinkLocal, _) => return denied(Builtin::LinkLocal),
            (None, Standing::Unknown, _) | (None, _, Part::Unknown) => return denied(Builtin::Unknown),
            (None, Standing::Member(sets), _) => sets,
        };
        let side = usize::from(part.end() == End::Destination);
        let mut rules = self.by_set.of_sets(sets, part);
        let woulds = self.first_matches(&rules, found);
        let before = rules.len();
        rules.retain(|rule| self.acts(self.living[*rule]));
        let watched = !self.watched[side].is_disjoint(sets);
        let cells = if rules.len() == before {
            // All rules act: whatever would decide does.
            woulds.into_iter().map(|(service, one)| (service, Cell { decider: one, would: one, watched })).collect()
        } else {
            both(&self.first_matches(&rules, found), &woulds, watched)
        };
        Row { rest: Cell { decider: Decider::End, would: Decider::End, watched }, cells }
    }

    /// Whether a rule does more than record. Where everything only records, the center says so of each rule.
    fn acts(&self, rule: &ViewRule) -> bool {
        rule.mode == Mode::Enforce || intercept::is_one(rule)
    }

    /// The first of these rules for each service class that one of them covers, in the order of those. A rule that passes
    /// takes its service classes out of its tier (semantics 7).
    fn first_matches(&self, rules: &[usize], found: &mut Found) -> Vec<(usize, Decider)> {
        let mut first = Vec::new();
        found.look += 1;
        for &rule in rules {
            let ViewRule { action, tier, .. } = self.living[rule];
            let covered = &self.covered[self.service_of[rule]];
            if *action == Action::Pass {
                covered.iter().for_each(|service| found.leave(*service, *tier));
                continue;
            }
            let covered = covered.iter().filter(|service| found.is_first(**service, *tier));
            first.extend(covered.map(|service| (*service, Decider::Rule(rule))));
            if first.len() == self.services {
                break;
            }
        }
        first.sort_unstable();
        first
    }

    /// The outcome that a cell stands for.
    pub(crate) fn outcome(&self, cell: Cell, end: End) -> Outcome {
        let monitor = self.view.mode == Mode::Monitor;
        let (verdict, rule) = self.verdict(cell.decider, monitor);
        let (would_be, would_rule) = self.verdict(cell.would, false);
        let differs = verdict != would_be || rule != would_rule;
        let would = differs.then(|| Would {
            verdict: would_be,
            rule: Some(would_rule.to_owned()),
            end: (would_be != Verdict::Allow).then_some(end),
        });
        let asked = self.view.record_all || self.asks_for_log(cell.decider) || would.is_some();
        let allowed = verdict == Verdict::Allow;
        let (log, watched) = (allowed && asked, allowed && cell.watched);
        Outcome { verdict, rule: rule.to_owned(), end, would, log, monitor, watched }
    }

    /// A decider's verdict and name; `monitor` says whether the policy's end is that of a policy in monitor.
    fn verdict(&self, decider: Decider, monitor: bool) -> (Verdict, &str) {
        match decider {
            // A rule that passes decides nothing.
            Decider::Rule(index) => {
                let rule = self.living[index];
                (rule.action.verdict().unwrap_or(self.view.default), &rule.name)
            }
            Decider::Builtin(rule) => (Verdict::Deny, rule.name()),
            Decider::End if monitor => (Verdict::Allow, Builtin::Monitor.name()),
            Decider::End => (self.view.default, "default"),
        }
    }

    /// Whether the deciding rule asks for a record of allowed flows.
    fn asks_for_log(&self, decider: Decider) -> bool {
        match decider {
            Decider::Rule(index) => self.living[index].log,
            Decider::Builtin(_) | Decider::End => false,
        }
    }
}

/// What decides and what would, by service class: either may have more, for a rule that only records may pass on to the end.
fn both(deciders: &[(usize, Decider)], woulds: &[(usize, Decider)], watched: bool) -> Vec<(usize, Cell)> {
    let found = |all: &[(usize, Decider)], service: usize| {
        let at = all.binary_search_by_key(&service, |(one, _)| *one);
        at.map_or(Decider::End, |at| all[at].1)
    };
    let services: BTreeSet<usize> = deciders.iter().chain(woulds).map(|(service, _)| *service).collect();
    let cell = |service| Cell { decider: found(deciders, service), would: found(woulds, service), watched };
    services.into_iter().map(|service| (service, cell(service))).collect()
}

/// A row that a built-in rule denies from end to end.
fn denied(rule: Builtin) -> Row {
    let decider = Decider::Builtin(rule);
    Row { rest: Cell { decider, would: decider, watched: false }, cells: Vec::new() }
}

/// Whether a rule exists at an instant of the center's time. Without that time, a rule that ends is taken as ended where it
/// allows or passes, and as living where it denies or rejects (semantics 14).
pub(crate) fn exists(rule: &ViewRule, now: Option<i64>) -> bool {
    match (rule.until, now) {
        (None, _) => true,
        (Some(until), Some(now)) => now < until,
        (Some(_), None) => matches!(rule.action, Action::Deny | Action::Reject),
    }
}

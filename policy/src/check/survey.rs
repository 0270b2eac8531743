//! What becomes of each rule over all flows.

use std::collections::BTreeMap;

use super::walk::Share;
use super::world::{Meeting, View, World};
use crate::classify::{Bits, Decision, WORD, narrow};
use crate::{Action, End};

/// What becomes of each rule, by its number.
pub(super) struct Survey {
    /// Some flow matches it.
    pub(super) matched: Bits,
    /// Some flow matches it at a managed end where it holds.
    pub(super) present: Bits,
    /// It decides some flow there, or passes it on.
    pub(super) decides: Bits,
    /// What becomes of the flows that it allows at an end.
    held: Fate,
    /// What becomes of the flows that it matches where it holds at neither end.
    absent: Fate,
    /// The same by the rule that denies, where the one that allows does not hold at that end.
    pub(super) disagreeing: BTreeMap<(usize, usize), Denied>,
    /// A flow that matches it.
    pub(super) flows: BTreeMap<usize, String>,
}

/// What becomes of flows that rules are to allow.
struct Fate {
    /// The rules of which some flow passes.
    allowed: Bits,
    /// One flow of each rule that is denied.
    denied: BTreeMap<usize, Denied>,
}

/// A flow that one end denies.
pub(super) struct Denied {
    pub(super) by: Decision,
    pub(super) end: End,
    pub(super) flow: String,
}

/// The rules that hold at both ends, and what they decide.
type Ends = [(Vec<u32>, Vec<Share>); 2];

impl Survey {
    pub(super) fn of(world: &World<'_>) -> Self {
        let none = world.no_rules();
        let mut survey = Self {
            matched: none.clone(),
            present: none.clone(),
            decides: none.clone(),
            held: Fate { allowed: none.clone(), denied: BTreeMap::new() },
            absent: Fate { allowed: none.clone(), denied: BTreeMap::new() },
            disagreeing: BTreeMap::new(),
            flows: BTreeMap::new(),
        };
        for meeting in world.meetings() {
            let met = world.table.meeting(&meeting.pair);
            met.iter().for_each(|rule| survey.matches(world, &meeting, *rule as usize));
            let ends = [End::Source, End::Destination].map(|end| survey.end(world, &meeting, end));
            survey.together(world, (&meeting, &met), &ends);
        }
        survey
    }

    /// Where nothing of what a rule allows passes, one flow and who denies it.
    pub(super) fn undone(&self, rule: usize) -> Option<&Denied> {
        let fate = if self.present.has(rule) { &self.held } else { &self.absent };
        fate.denied.get(&rule).filter(|_| !fate.allowed.has(rule))
    }

    fn end(&mut self, world: &World<'_>, meeting: &Meeting<'_>, end: End) -> (Vec<u32>, Vec<Share>) {
        let Some(rules) = world.rules(meeting, end, View::Live) else {
            return (Vec::new(), vec![Share { services: meeting.services.clone(), decision: None }]);
        };
        for rule in rules.iter().map(|rule| *rule as usize) {
            if !self.present.has(rule) && world.table.covered[rule].bits().meets(meeting.services) {
                self.present.put(rule);
            }
        }
        let mut took = |_: usize, rule: usize, _: &Bits| self.decides.put(rule);
        let shares = world.decided(&rules, meeting.services.clone(), View::Live, &mut took);
        if world.records() {
            let acting = world.rules(meeting, end, View::Acted).unwrap_or_default();
            let _ = world.decided(&acting, meeting.services.clone(), View::Acted, &mut took);
        }
        (rules, shares)
    }

    /// What becomes of flows that an end allows.
    fn together(&mut self, world: &World<'_>, (meeting, met): (&Meeting<'_>, &[u32]), ends: &Ends) {
        let [source, destination] = ends;
        for (from, to) in both(&source.1, &destination.1) {
            self.pair(world, (meeting, ends), &source.1[from], &destination.1[to]);
        }
        // Of rules that hold at neither end it is to be seen whether others do what they ask for.
        let holds = |rule: u32| ends.iter().any(|(rules, _)| rules.binary_search(&rule).is_ok());
        for rule in met.iter().copied().filter(|&rule| !holds(rule)) {
            if world.policy.rules[rule as usize].action == Action::Allow && !self.present.has(rule as usize) {
                self.absent(world, meeting, ends, rule as usize);
            }
        }
    }

    fn matches(&mut self, world: &World<'_>, meeting: &Meeting<'_>, rule: usize) {
        let covered = world.table.covered[rule].bits();
        if !self.matched.has(rule) && covered.meets(meeting.services) {
            self.matched.put(rule);
            self.flows.insert(rule, world.flow(meeting, &covered.both(meeting.services)));
        }
    }

    fn pair(&mut self, world: &World<'_>, (meeting, ends): (&Meeting<'_>, &Ends), from: &Share, to: &Share) {
        if from.allows() && to.allows() {
            [from, to].iter().filter_map(|share| share.rule()).for_each(|rule| self.held.allowed.put(rule));
            return;
        }
        for (allows, denies, end) in [(from, to, End::Destination), (to, from, End::Source)] {
            let (Some(rule), Some(by)) = (allows.rule().filter(|_| allows.allows()), denies.decision) else { continue };
            let flow = || world.flow(meeting, &allows.services.both(&denies.services));
            self.held.denied.entry(rule).or_insert_with(|| Denied { by, end, flow: flow() });
            let there = &ends[usize::from(end == End::Destination)].0;
            if let Some(other) = denies.rule().filter(|_| there.binary_search(&narrow(rule)).is_err()) {
                self.disagreeing.entry((rule, other)).or_insert_with(|| Denied { by, end, flow: flow() });
            }
        }
    }

    fn absent(&mut self, world: &World<'_>, meeting: &Meeting<'_>, ends: &Ends, rule: usize) {
        let mut passing = world.table.covered[rule].bits().both(meeting.services);
        for ((_, shares), end) in ends.iter().zip([End::Source, End::Destination]) {
            let denying = shares.iter().filter(|share| !share.allows() && share.services.meets(&passing));
            let denying: Vec<(Decision, Bits)> =
                denying.filter_map(|share| Some((share.decision?, share.services.both(&passing)))).collect();
            for (by, denied) in denying {
                passing.remove(&denied);
                let flow = || world.flow(meeting, &denied);
                self.absent.denied.entry(rule).or_insert_with(|| Denied { by, end, flow: flow() });
            }
        }
        if !passing.is_empty() {
            self.absent.allowed.put(rule);
        }
    }
}

/// Which shares of two ends have services in common. There may be many of both, and each service is in one at either end.
fn both(source: &[Share], destination: &[Share]) -> Vec<(usize, usize)> {
    let services = |shares: &[Share]| shares.iter().map(|share| share.services.words().len()).max();
    let mut there = vec![0; services(destination).unwrap_or(0) * WORD];
    for (number, share) in destination.iter().enumerate() {
        share.services.iter().for_each(|service| there[service] = number);
    }
    let (mut pairs, mut known) = (Vec::new(), vec![usize::MAX; destination.len()]);
    for (number, share) in source.iter().enumerate() {
        for to in share.services.iter().map(|service| there[service]) {
            if std::mem::replace(&mut known[to], number) != number {
                pairs.push((number, to));
            }
        }
    }
    pairs
}

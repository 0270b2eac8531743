//! Flows before a draft, and beside it before the policy in force.

use std::collections::BTreeMap;

use policy::{Flow, Inventory, Policy, Rule, Verdict};

use crate::judge::{Decider, Judge, Judged};
use crate::party::Parties;
use crate::seen::Seen;
use crate::table::{Key, mix};
use crate::tally::{Bounds, Change, Counted, Pair, Tally, asked};

/// How many flows are remembered with their verdict.
const REMEMBERED: usize = 1 << 14;

/// A policy with who judges by it.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The policy, for the names of its rules.
    pub policy: &'a Policy,
    /// Its judge.
    pub judge: &'a dyn Judge,
}

/// Takes flows and counts what becomes of them. What it holds does not grow with their number.
pub struct Replay<'a> {
    pub(crate) draft: Bench<'a>,
    pub(crate) against: Option<Bench<'a>>,
    /// For each rule of the policy in force the draft's rule of the same name.
    same: Vec<Option<u32>>,
    pub(crate) inventory: &'a Inventory,
    pub(crate) parties: Parties,
    pub(crate) tally: Tally,
    /// Flows that were seen lately: recordings tell the same flow again and again.
    remembered: Vec<Option<(Flow, Counted)>>,
}

impl<'a> Replay<'a> {
    /// Before the first flow.
    #[must_use]
    pub fn new(draft: Bench<'a>, against: Option<Bench<'a>>, inventory: &'a Inventory, bounds: Bounds) -> Self {
        Self {
            draft,
            against,
            same: against.map_or_else(Vec::new, |against| same(against.policy, draft.policy)),
            inventory,
            parties: Parties::new(inventory, bounds.prefixes),
            tally: Tally::new(bounds),
            remembered: vec![None; REMEMBERED],
        }
    }

    /// Takes one flow.
    pub fn see(&mut self, seen: &Seen) {
        let place = spread(&seen.flow) as usize % REMEMBERED;
        let counted = match self.remembered.get(place) {
            Some(Some((flow, counted))) if *flow == seen.flow => *counted,
            Some(_) | None => {
                let counted = self.judged(&seen.flow);
                if let Some(free) = self.remembered.get_mut(place) {
                    *free = Some((seen.flow, counted));
                }
                counted
            }
        };
        self.tally.see(seen, &counted);
    }

    fn judged(&mut self, flow: &Flow) -> Counted {
        let now = self.draft.judge.judge(flow);
        let was = self.against.map(|against| against.judge.judge(flow));
        let change = was.map_or(Change::Same, |was| self.change(was, now));
        let source = self.parties.of(flow.source);
        let destination = self.parties.of(flow.destination);
        self.tally.counted(Pair { source, destination, service: flow.service, now, was, change })
    }

    /// How many pairs and prefixes are held: the measure of the memory that is used.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.tally.pairs.len(), self.parties.prefixes())
    }

    fn change(&self, was: Judged, now: Judged) -> Change {
        match (was.passes(), now.passes()) {
            (true, false) => return Change::NewlyIntercepted,
            (false, true) => return Change::NewlyAllowed,
            (true, true) | (false, false) => {}
        }
        let same_rule = match (was.by, now.by) {
            (Decider::Rule(was), Decider::Rule(now)) => self.same.get(was as usize) == Some(&Some(now)),
            (was, now) => was == now,
        };
        let alike = same_rule && was.verdict == now.verdict && was.end == now.end;
        if alike { Change::Same } else { Change::Otherwise }
    }
}

fn same(was: &Policy, now: &Policy) -> Vec<Option<u32>> {
    let places: BTreeMap<String, u32> = now.rules.iter().map(Rule::full_name).zip(0..).collect();
    was.rules.iter().map(|rule| places.get(&rule.full_name()).copied()).collect()
}

fn spread(flow: &Flow) -> u64 {
    mix(flow.source.spread(), flow.destination.spread().rotate_left(23) ^ asked(flow.service))
}

/// The word of a verdict.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Reject => "reject",
    }
}

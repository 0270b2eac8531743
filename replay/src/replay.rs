//! Flows before a draft, and beside it before the policy in force.

use std::collections::BTreeMap;

use policy::{Flow, Inventory, Policy, Rule, Verdict};

use crate::judge::{Decider, Judge, Judged};
use crate::pairs::{Pair, Ruled};
use crate::party::Parties;
use crate::remembered::{Looked, Remembered};
use crate::seen::Seen;
use crate::tally::{Asked, Bounds, Change, Tally};

/// So many flows are looked up together: what one look-up waits for, the others' wait for at the same time.
const TOGETHER: usize = 64;

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
    remembered: Remembered,
    /// Flows that are looked up together, and those of them that are not remembered by their places; empty in between.
    looked: Vec<Looked>,
    asked: Vec<(usize, Asked)>,
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
            remembered: Remembered::new(),
            looked: Vec::with_capacity(TOGETHER),
            asked: Vec::with_capacity(TOGETHER),
        }
    }

    /// Takes one flow.
    pub fn see(&mut self, seen: &Seen) {
        self.see_all(std::slice::from_ref(seen));
    }

    /// Takes flows, in their order; faster than one by one.
    pub fn see_all(&mut self, seen: &[Seen]) {
        seen.chunks(TOGETHER).for_each(|seen| self.see_together(seen));
    }

    /// Each step is done for all flows before the next is for any.
    fn see_together(&mut self, seen: &[Seen]) {
        let (mut looked, mut asked) = (std::mem::take(&mut self.looked), std::mem::take(&mut self.asked));
        looked.extend(seen.iter().map(|one| self.remembered.look(&one.flow)));
        for (at, (one, looked)) in seen.iter().zip(&looked).enumerate() {
            if looked.counted.is_none() {
                asked.push((at, self.ask(&one.flow)));
            }
        }
        asked.iter().for_each(|(_, asked)| self.tally.touch(asked));
        for (at, asked) in asked.drain(..) {
            let counted = self.tally.counted(asked);
            if let (Some(one), Some(looked)) = (seen.get(at), looked.get_mut(at)) {
                looked.counted = Some(counted);
                self.remembered.keep(looked.place, one.flow, counted);
            }
        }
        for (one, looked) in seen.iter().zip(looked.drain(..)) {
            if let Some(counted) = looked.counted {
                self.tally.see(one, &counted);
            }
        }
        (self.looked, self.asked) = (looked, asked);
    }

    #[inline]
    fn ask(&mut self, flow: &Flow) -> Asked {
        let now = self.draft.judge.judge(flow);
        let was = self.against.map(|against| against.judge.judge(flow));
        let change = was.map_or(Change::Same, |was| self.change(was, now));
        let source = self.parties.of(flow.source);
        let destination = self.parties.of(flow.destination);
        self.tally.ask(Pair { source, destination, service: flow.service, ruled: Ruled { now, was, change } })
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

/// The word of a verdict.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Reject => "reject",
    }
}

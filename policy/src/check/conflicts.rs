//! How rules stand to those behind them, where each of them decides something.

use std::collections::{BTreeMap, BTreeSet};

use super::walk::Share;
use super::world::{Meeting, View, World};
use crate::classify::Bits;
use crate::{Action, End, Rule, Selector, ServiceMatch, Verdict};

/// How rules stand to one another, by their numbers.
pub(super) struct Standing {
    /// Of each shadowed rule the rules that decide its flows before it, and one flow.
    pub(super) shadows: BTreeMap<usize, (BTreeSet<usize>, String)>,
    /// Of each redundant rule the rules that decide its flows in its place, and one flow.
    pub(super) instead: BTreeMap<usize, (BTreeSet<usize>, String)>,
    /// Of each rule of which an allow takes a part, while neither holds the other, that allow, and a flow.
    pub(super) takers: BTreeMap<usize, (usize, String)>,
}

/// A rule that takes services at an end: its place among the rules there, its number, what it takes.
type Taker = (usize, usize, Bits);

pub(super) struct Looker<'w, 'a> {
    world: &'w World<'a>,
    shadowed: &'w Bits,
    /// The rules that may yet be redundant.
    candidates: Bits,
    /// The rules that deny, and of which no allow is known yet to take a part.
    deniers: Bits,
    /// Of each allow those that it was not yet held against.
    open: Vec<Option<Bits>>,
    standing: Standing,
}

/// Looks at all ends of all flows; `decides` are the rules that decide any, `shadowed` those that never do.
pub(super) fn standing(world: &World<'_>, decides: &Bits, shadowed: &Bits) -> Standing {
    let mut candidates = decides.clone();
    (0..world.policy.rules.len()).filter(|&rule| catches_all(world, rule)).for_each(|rule| candidates.take(rule));
    let standing = Standing { shadows: BTreeMap::new(), instead: BTreeMap::new(), takers: BTreeMap::new() };
    let denies = |rule: usize| matches!(world.policy.rules[rule].action, Action::Deny | Action::Reject);
    let deniers = Bits::of(world.policy.rules.len(), |rule| denies(rule) && !shadowed.has(rule));
    let mut looker =
        Looker { world, shadowed, candidates, deniers, open: vec![None; world.policy.rules.len()], standing };
    for meeting in world.meetings() {
        [End::Source, End::Destination].into_iter().for_each(|end| looker.end(&meeting, end));
    }
    let candidates = looker.candidates;
    looker.standing.instead.retain(|rule, _| candidates.has(*rule));
    looker.standing
}

/// Whether a rule ends its tier and matches whatever reaches it: it is a default in the form of a rule.
pub(super) fn catches_all(world: &World<'_>, rule: usize) -> bool {
    let rules = &world.policy.rules;
    let last = rules.get(rule + 1).is_none_or(|next| next.place() != rules[rule].place());
    let Rule { from, to, services, within, .. } = &rules[rule];
    last && (from, to) == (&Selector::Any, &Selector::Any) && within.is_none() && services.contains(&ServiceMatch::Any)
}

impl Looker<'_, '_> {
    fn end(&mut self, meeting: &Meeting<'_>, end: End) {
        let world = self.world;
        if !self.shadowed.is_empty() {
            self.shadows(meeting, end);
        }
        let views = if world.records() { vec![View::Live, View::Acted] } else { vec![View::Live] };
        for view in views {
            let Some(rules) = world.rules(meeting, end, view) else { continue };
            let mut takers: Vec<Taker> = Vec::new();
            let mut took = |place: usize, rule: usize, taken: &Bits| takers.push((place, rule, taken.clone()));
            let shares = world.decided(&rules, meeting.services.clone(), view, &mut took);
            for taker in takers.iter().filter(|(_, rule, _)| self.candidates.has(*rule)).collect::<Vec<_>>() {
                self.instead(meeting, (view, &rules, &shares), taker);
            }
            let live = takers.iter().filter(|_| view == View::Live);
            live.for_each(|taker| self.conflicts(meeting, &rules, taker));
        }
    }

    /// Who decides the flows of the shadowed rules.
    fn shadows(&mut self, meeting: &Meeting<'_>, end: End) {
        let Some(rules) = self.world.rules(meeting, end, View::Live) else { return };
        if !rules.iter().any(|rule| self.shadowed.has(*rule as usize)) {
            return;
        }
        let mut takers: Vec<Taker> = Vec::new();
        let mut took = |place: usize, rule: usize, taken: &Bits| takers.push((place, rule, taken.clone()));
        let _ = self.world.decided(&rules, meeting.services.clone(), View::Live, &mut took);
        for rule in rules.iter().map(|rule| *rule as usize).filter(|rule| self.shadowed.has(*rule)) {
            let covered = self.world.table.covered[rule].bits();
            for (_, other, taken) in takers.iter().filter(|(_, other, taken)| *other < rule && taken.meets(covered)) {
                let flow = || (BTreeSet::new(), self.world.flow(meeting, &taken.both(covered)));
                self.standing.shadows.entry(rule).or_insert_with(flow).0.insert(*other);
            }
        }
    }

    /// Whether rules behind one give what it takes the same verdict.
    fn instead(&mut self, meeting: &Meeting<'_>, (view, rules, shares): (View, &[u32], &[Share]), taker: &Taker) {
        let (place, rule, taken) = taker;
        let behind = self.world.decided(&rules[place + 1..], taken.clone(), view, &mut |_, _, _| {});
        for then in &behind {
            let with = shares.iter().filter(|share| share.services.meets(&then.services));
            let same = with.into_iter().all(|share| share.verdict() == then.verdict());
            match then.rule().filter(|&other| same && self.as_good(*rule, other)) {
                Some(other) => {
                    let flow = || (BTreeSet::new(), self.world.flow(meeting, &then.services));
                    self.standing.instead.entry(*rule).or_insert_with(flow).0.insert(other);
                }
                None => return self.candidates.take(*rule),
            }
        }
    }

    /// Whether a rule of the same verdict is as good as one before it.
    fn as_good(&self, rule: usize, other: usize) -> bool {
        let [one, two] = [rule, other].map(|rule| &self.world.policy.rules[rule]);
        let lasts = two.until.is_none_or(|until| one.until.is_some_and(|ends| ends <= until));
        let records = one.action != Action::Allow || one.log == two.log;
        // A tier stands by itself, and a shadowed rule is doubted already: of two that are alike one is enough.
        let stays = one.place() == two.place() && !self.shadowed.has(other) && !catches_all(self.world, other);
        stays && lasts && records
    }

    /// Later rules of the same tier that deny a part of what an allow takes.
    fn conflicts(&mut self, meeting: &Meeting<'_>, rules: &[u32], (place, rule, taken): &Taker) {
        let table = &self.world.table;
        let (verdict, next) = table.actions[*rule];
        if verdict != Some(Verdict::Allow) {
            return;
        }
        let mut open = std::mem::take(&mut self.open[*rule]).unwrap_or_else(|| self.deniers.clone());
        for other in rules[place + 1..].iter().map(|rule| *rule as usize).take_while(|other| *other < next) {
            if !open.has(other) || !table.covered[other].bits().meets(taken) {
                continue;
            }
            open.take(other);
            if self.deniers.has(other) && !self.holds(other, *rule) && !self.holds(*rule, other) {
                let flow = self.world.flow(meeting, &table.covered[other].bits().both(taken));
                self.standing.takers.insert(other, (*rule, flow));
                self.deniers.take(other);
            }
        }
        self.open[*rule] = Some(open);
    }

    /// Whether one rule matches all that another matches.
    fn holds(&self, wide: usize, narrow: usize) -> bool {
        let table = &self.world.table;
        let inside = |meeting: &Meeting<'_>| {
            let asked = table.covered[narrow].bits().both(meeting.services);
            asked.is_empty() || (table.meets(&meeting.pair, wide) && asked.is_in(table.covered[wide].bits()))
        };
        table.covers(wide, narrow)
            || self
                .world
                .meetings()
                .filter(|meeting| table.meets(&meeting.pair, narrow))
                .all(|meeting| inside(&meeting))
    }
}

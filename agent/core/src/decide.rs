//! Settles the first match: for one class of peers, what every service class gets in both directions.

use std::collections::BTreeSet;

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
    /// The service classes of each.
    pub(crate) covered: &'a [Vec<usize>],
    /// How many service classes there are.
    pub(crate) services: usize,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    /// Who decides.
    pub(crate) decider: Decider,
    /// Who would decide with every monitor rule live.
    pub(crate) would: Decider,
    /// Whether a detector counts it.
    pub(crate) watched: bool,
}

impl Rules<'_> {
    /// The row of a class: one cell for each service class. `end` is where this machine stands in the flow.
    pub(crate) fn row(&self, standing: &Standing, end: End) -> Vec<Cell> {
        if let Some(rule) = self.shut {
            return self.denied(rule);
        }
        match standing {
            Standing::Unknown => self.denied(Builtin::Unknown),
            Standing::LinkLocal => self.denied(Builtin::LinkLocal),
            Standing::Member(sets) => {
                let matches = |rule: &ViewRule| side(rule, end).is_some_and(|set| sets.contains(&set));
                let enforced = |rule: &ViewRule| self.view.mode == Mode::Enforce && rule.mode == Mode::Enforce;
                let acts = |rule: &ViewRule| enforced(rule) || intercept::is_one(rule);
                let deciders = self.first_matches(|rule| matches(rule) && acts(rule));
                let woulds = self.first_matches(matches);
                let watched = !self.watched[usize::from(end == End::Destination)].is_disjoint(sets);
                deciders.into_iter().zip(woulds).map(|(decider, would)| Cell { decider, would, watched }).collect()
            }
        }
    }

    /// A row that a built-in rule denies from end to end.
    fn denied(&self, rule: Builtin) -> Vec<Cell> {
        let decider = Decider::Builtin(rule);
        vec![Cell { decider, would: decider, watched: false }; self.services]
    }

    /// The first rule of those that `matches` for each service class.
    fn first_matches(&self, matches: impl Fn(&ViewRule) -> bool) -> Vec<Decider> {
        let mut row = vec![Decider::End; self.services];
        let living = self.living.iter().zip(self.covered).enumerate();
        for (index, (_, covered)) in living.filter(|(_, (rule, _))| matches(rule)) {
            for &service in covered {
                settle(&mut row[service], index);
            }
        }
        row
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
            Decider::Rule(index) => (self.living[index].action, &self.living[index].name),
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

/// The first match stands.
fn settle(decider: &mut Decider, index: usize) {
    if *decider == Decider::End {
        *decider = Decider::Rule(index);
    }
}

/// The set of peers for which a rule holds where this machine stands at `end`.
pub(crate) fn side(rule: &ViewRule, end: End) -> Option<u32> {
    match end {
        End::Destination => rule.inbound,
        End::Source => rule.outbound,
    }
}

/// Whether a rule exists at an instant of the center's time. Without that time, an allow rule that ends is taken as
/// ended, and a deny or reject rule as living (semantics 14).
pub(crate) fn exists(rule: &ViewRule, now: Option<i64>) -> bool {
    match (rule.until, now) {
        (None, _) => true,
        (Some(until), Some(now)) => now < until,
        (Some(_), None) => rule.action != Action::Allow,
    }
}

//! What a policy says of all services between two endpoints at once: sets of classes of services, each with one ruling.

use crate::classify::bits::Bits;
use crate::classify::judged::{Decider, Decision, Outcome, differing, together};
use crate::classify::narrow;
use crate::classify::pair::Pair;
use crate::classify::table::Table;
use crate::{Builtin, End, Verdict};

/// A ruling: the outcome, and what it would be were every monitor rule live, where that differs.
pub(super) type Ruled = (Outcome, Option<Outcome>);

/// The rules that hold at one managed end whatever the service, those that only record with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    rules: Vec<u32>,
    quarantined: bool,
    monitors: bool,
}

/// The same at both ends; `None` at one without an agent.
pub(super) type Ends = [Option<Held>; 2];

/// Which rules hold between two endpoints.
pub(super) fn held(table: &Table, pair: &Pair<'_>) -> Ends {
    [End::Source, End::Destination].map(|end| {
        let standing = pair.end(end).standing;
        let quarantined = standing.quarantined;
        let rules = || if quarantined { Vec::new() } else { table.holding_at(pair, end, true) };
        standing.managed.then(|| Held { rules: rules(), quarantined, monitors: standing.monitors })
    })
}

/// What is said of these services; every one of them stands in one set.
pub(super) fn spread(table: &Table, ends: &Ends, services: &Bits) -> Vec<(Ruled, Bits)> {
    let both = |live| {
        let [source, destination] =
            ends.each_ref().map(|end| end.as_ref().map(|end| at_end(table, end, live, services)));
        joined(source, destination, services)
    };
    let (acted, live) = (both(false), both(true));
    let mut all = Vec::with_capacity(acted.len());
    for (outcome, services) in &acted {
        let meeting = live.iter().map(|(live, others)| (*live, services.both(others)));
        all.extend(
            meeting
                .filter(|(_, some)| !some.is_empty())
                .map(|(live, some)| ((*outcome, differing(*outcome, live)), some)),
        );
    }
    all
}

type Decided = Vec<(Decision, Bits)>;

/// Both ends together; an end without an agent says nothing.
fn joined(source: Option<Decided>, destination: Option<Decided>, services: &Bits) -> Vec<(Outcome, Bits)> {
    let (source, destination) = match (source, destination) {
        (None, None) => return vec![(together(None, None), services.clone())],
        (Some(one), None) => return one.into_iter().map(|(said, some)| (together(Some(said), None), some)).collect(),
        (None, Some(one)) => return one.into_iter().map(|(said, some)| (together(None, Some(said)), some)).collect(),
        (Some(source), Some(destination)) => (source, destination),
    };
    let mut all = Vec::new();
    for (first, services) in source {
        if first.verdict != Verdict::Allow {
            all.push((together(Some(first), None), services));
            continue;
        }
        let meeting = destination.iter().map(|(second, others)| (*second, services.both(others)));
        let meeting = meeting.filter(|(_, some)| !some.is_empty());
        all.extend(meeting.map(|(second, some)| (together(Some(first), Some(second)), some)));
    }
    all
}

/// What one end says: each rule in its turn takes what it covers of what is left.
fn at_end(table: &Table, held: &Held, live: bool, services: &Bits) -> Decided {
    if held.quarantined {
        let decider = Decider::Builtin(Builtin::Quarantine);
        return vec![(Decision { verdict: Verdict::Deny, decider }, services.clone())];
    }
    let acts = |rule: &&u32| live || !(held.monitors || table.monitors.has(**rule as usize));
    // What no rule has decided, and what of it the rules of this tier may still decide.
    let (mut open, mut here, mut tier) = (services.clone(), services.clone(), 0);
    let mut all = Vec::new();
    for rule in held.rules.iter().filter(acts).map(|rule| *rule as usize) {
        let (verdict, next) = table.actions[rule];
        if rule >= tier {
            (here, tier) = (open.clone(), next);
        }
        let taken = here.both(&table.covered[rule]);
        here.remove(&taken);
        let Some(verdict) = verdict.filter(|_| !taken.is_empty()) else { continue };
        open.remove(&taken);
        all.push((Decision { verdict, decider: Decider::Rule(narrow(rule)) }, taken));
        if open.is_empty() {
            return all;
        }
    }
    if !open.is_empty() {
        all.push((table.last(held.monitors || table.ends_in_monitor(), live), open));
    }
    all
}

//! What a policy says of all services between two endpoints at once: sets of classes of services, each with one ruling.

use crate::classify::bits::{Bits, WORD};
use crate::classify::judged::{Decider, Decision, Outcome, differing, together};
use crate::classify::narrow;
use crate::classify::pair::Pair;
use crate::classify::table::Table;
use crate::{Builtin, End, Verdict};

/// A ruling: the outcome, and what it would be were every monitor rule live, where that differs.
pub(super) type Ruled = (Outcome, Option<Outcome>);

/// The rules that hold at one managed end whatever the service, those that only record with them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// Sets of services that have nothing in common, and what is said of each.
pub(super) type Division<T> = Vec<(T, Bits)>;

/// What is said of these services; every one of them stands in one set.
pub(super) fn spread(table: &Table, ends: &Ends, services: &Bits) -> Division<Ruled> {
    let acted = together_at(table, ends, false, services);
    if table.acts() && !ends.iter().flatten().any(|held| held.monitors) {
        return acted.into_iter().map(|(outcome, some)| ((outcome, None), some)).collect();
    }
    let live = together_at(table, ends, true, services);
    let all = meeting(&acted, &live).into_iter();
    all.map(|(outcome, live, some)| ((outcome, differing(outcome, live)), some)).collect()
}

/// Both ends together; an end without an agent says nothing.
fn together_at(table: &Table, [source, destination]: &Ends, live: bool, services: &Bits) -> Division<Outcome> {
    let said = |held: &Held| at_end(table, held, live, services);
    let each = |said: Division<Decision>, both: fn(Decision) -> Outcome| -> Division<Outcome> {
        said.into_iter().map(|(decision, some)| (both(decision), some)).collect()
    };
    match (source, destination) {
        (None, None) => vec![(together(None, None), services.clone())],
        (Some(one), None) => each(said(one), |one| together(Some(one), None)),
        (None, Some(one)) => each(said(one), |one| together(None, Some(one))),
        (Some(one), Some(other)) if one == other => each(said(one), |one| together(Some(one), Some(one))),
        (Some(one), Some(other)) => {
            let all = meeting(&said(one), &said(other)).into_iter();
            all.map(|(one, other, some)| (together(Some(one), Some(other)), some)).collect()
        }
    }
}

/// The sets into which two divisions together divide.
pub(super) fn meeting<A: Copy, B: Copy>(one: &Division<A>, other: &Division<B>) -> Vec<(A, B, Bits)> {
    let mut all = Vec::with_capacity(one.len() + other.len());
    if one.len().min(other.len()) == 1 {
        let pairs = one.iter().flat_map(|one| other.iter().map(move |other| (one, other)));
        let shared = pairs.map(|((a, services), (b, others))| (*a, *b, services.both(others)));
        return shared.filter(|(_, _, some)| !some.is_empty()).collect();
    }
    let mut places: Vec<usize> = vec![usize::MAX; one.first().map_or(0, |(_, bits)| bits.words().len() * WORD)];
    for (place, (_, services)) in other.iter().enumerate() {
        services.iter().for_each(|class| places[class] = place);
    }
    for (a, services) in one {
        let mut rest = services.clone();
        while let Some((b, others)) = rest.first().and_then(|class| other.get(places[class])) {
            let some = rest.both(others);
            rest.remove(&some);
            all.push((*a, *b, some));
        }
    }
    all
}

/// What one end says: each rule in its turn takes what it covers of what is left.
fn at_end(table: &Table, held: &Held, live: bool, services: &Bits) -> Division<Decision> {
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
        let Some(taken) = table.covered[rule].both(&here) else { continue };
        here.remove(&taken);
        let Some(verdict) = verdict else { continue };
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

//! Rules between VMs and what is outside: for a selector of VMs, the group of all prefixes that were seen with all of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use policy::IpNet;

use super::selectors::{Candidate, Classes};
use super::{Cells, Chosen, Rectangle, Side};

/// What was seen outside of the VMs of a class.
#[derive(Default)]
struct Peers {
    prefixes: BTreeSet<IpNet>,
    others: bool,
}

/// The rectangles for what one service was seen to and from the outside.
pub(super) fn with_outside(cells: &Cells, classes: &Classes) -> Vec<Rectangle> {
    let mut rectangles = Vec::new();
    for inwards in [true, false] {
        let mut peers: BTreeMap<usize, Peers> = BTreeMap::new();
        for (from, to) in cells.keys() {
            let (outside, vms) = if inwards { (*from, *to) } else { (*to, *from) };
            let Some(class) = vms.class() else { continue };
            match outside {
                Side::Class(_) => {}
                Side::Prefix(prefix) => {
                    peers.entry(class).or_default().prefixes.insert(prefix);
                }
                Side::Others => peers.entry(class).or_default().others = true,
            }
        }
        let both = cover(peers, classes).into_iter().map(|(outside, vms)| {
            if inwards { Rectangle { from: outside, to: vms } } else { Rectangle { from: vms, to: outside } }
        });
        rectangles.extend(both);
    }
    rectangles
}

fn cover(mut peers: BTreeMap<usize, Peers>, classes: &Classes) -> Vec<(Chosen, Chosen)> {
    let others: BTreeSet<usize> = peers.iter().filter(|(_, peers)| peers.others).map(|(class, _)| *class).collect();
    let mut rectangles = Vec::new();
    let mut left = others.clone();
    while let Some(first) = left.first() {
        let exact = classes.exact(*first);
        let within = |one: &&Candidate| one.classes.is_subset(&others);
        let gain = |one: &Candidate| one.classes.intersection(&left).count();
        let best = widest(classes.candidates.iter().filter(within).map(|one| (gain(one), one)), &exact);
        left.retain(|class| !best.classes.contains(class));
        rectangles.push((Chosen::Outside, Chosen::Vms(best.text.clone(), best.classes.clone())));
    }
    peers.retain(|class, _| !others.contains(class));
    let uncovered = |peers: BTreeMap<usize, Peers>| {
        peers.into_iter().flat_map(|(class, peers)| peers.prefixes.into_iter().map(move |prefix| (class, prefix)))
    };
    let seen: BTreeMap<usize, BTreeSet<IpNet>> =
        peers.iter().map(|(class, peers)| (*class, peers.prefixes.clone())).collect();
    let mut left: BTreeSet<(usize, IpNet)> = uncovered(peers).collect();
    let usable: Vec<&Candidate> =
        classes.candidates.iter().filter(|one| one.classes.iter().all(|class| seen.contains_key(class))).collect();
    while let Some((first, _)) = left.first() {
        let exact = classes.exact(*first);
        let gain = |one: &Candidate| {
            let prefixes = common(&seen, one);
            left.iter().filter(|(class, prefix)| one.classes.contains(class) && prefixes.contains(prefix)).count()
        };
        let best = widest(usable.iter().map(|one| (gain(one), *one)), &exact);
        let mut prefixes = common(&seen, best);
        if prefixes.is_empty() {
            // A class that no selector tells from others: its own prefixes, for all that its selector matches.
            prefixes = left.iter().filter(|(class, _)| class == first).map(|(_, prefix)| *prefix).collect();
        }
        left.retain(|(class, prefix)| !(best.classes.contains(class) && prefixes.contains(prefix)));
        rectangles.push((Chosen::Group(prefixes), Chosen::Vms(best.text.clone(), best.classes.clone())));
    }
    rectangles
}

/// The prefixes that were seen with every class of a selector.
fn common(seen: &BTreeMap<usize, BTreeSet<IpNet>>, one: &Candidate) -> BTreeSet<IpNet> {
    let mut sets = one.classes.iter().map(|class| seen.get(class));
    let Some(Some(first)) = sets.next() else { return BTreeSet::new() };
    let rest: Vec<Option<&BTreeSet<IpNet>>> = sets.collect();
    let everywhere = |prefix: &&IpNet| rest.iter().all(|set| set.is_some_and(|set| set.contains(*prefix)));
    first.iter().filter(everywhere).copied().collect()
}

/// The selector that gains most; of those the simplest; and one that is sure to gain where none does.
fn widest<'a>(all: impl Iterator<Item = (usize, &'a Candidate)>, sure: &'a Candidate) -> &'a Candidate {
    let best = all.filter(|(gain, _)| *gain > 0).min_by_key(|(gain, one)| (Reverse(*gain), one.terms, &one.text));
    best.map_or(sure, |(_, one)| one)
}

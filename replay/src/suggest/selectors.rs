//! Classes of VMs with the same labels, and the selectors by which they can be named.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Inventory, Name, Selector};

/// The most selectors of two labels that are thought of.
const MOST_PAIRS: usize = 20_000;

/// A selector with the classes that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) text: String,
    /// Of how many parts it is made: the fewer the better.
    pub(super) terms: usize,
    pub(super) classes: BTreeSet<usize>,
}

type Labels = BTreeMap<String, String>;

/// The VMs of an inventory by their labels.
pub(super) struct Classes {
    labels: Vec<Labels>,
    members: Vec<Vec<Name>>,
    of: BTreeMap<Name, usize>,
    /// Selectors that differ in what they match, the simplest of each.
    pub(super) candidates: Vec<Candidate>,
}

impl Classes {
    pub(super) fn of(inventory: &Inventory) -> Self {
        let mut by_labels: BTreeMap<&Labels, Vec<Name>> = BTreeMap::new();
        for (name, vm) in &inventory.vms {
            by_labels.entry(&vm.labels).or_default().push(name.clone());
        }
        // What a quarantined VM does is not for rules to allow.
        let open = |name: &&Name| inventory.vms.get(*name).is_some_and(|vm| !(vm.managed && vm.quarantined));
        let of = by_labels.values().enumerate();
        let of = of.flat_map(|(class, names)| names.iter().filter(open).map(move |name| (name.clone(), class)));
        let of = of.collect();
        let labels: Vec<Labels> = by_labels.keys().map(|labels| (*labels).clone()).collect();
        let candidates = candidates(&labels);
        Self { labels, members: by_labels.into_values().collect(), of, candidates }
    }

    /// The class of a VM; `None` for one that is quarantined.
    pub(super) fn class(&self, vm: &Name) -> Option<usize> {
        self.of.get(vm).copied()
    }

    /// The VMs of a class.
    pub(super) fn members(&self, class: usize) -> &[Name] {
        self.members.get(class).map_or(&[], Vec::as_slice)
    }

    /// How many VMs there are in a class.
    pub(super) fn size(&self, class: usize) -> u64 {
        self.members(class).len() as u64
    }

    /// The narrowest selector for a class: all its labels, and keys that it lacks where others would match, too.
    pub(super) fn exact(&self, class: usize) -> Candidate {
        let of_one = |candidate: &&Candidate| candidate.classes.len() == 1 && candidate.classes.contains(&class);
        if let Some(found) = self.candidates.iter().find(of_one) {
            return found.clone();
        }
        let none = Labels::new();
        let own = self.labels.get(class).unwrap_or(&none);
        let mut terms: Vec<Selector> = own.iter().filter(said).map(equals).collect();
        let mut matched: BTreeSet<usize> =
            (0..self.labels.len()).filter(|other| self.labels.get(*other).is_some_and(|it| carries(it, own))).collect();
        let keys: BTreeSet<&String> = self.labels.iter().flat_map(BTreeMap::keys).filter(|key| plain(key)).collect();
        for key in keys {
            let carriers = |other: &usize| self.labels.get(*other).is_some_and(|it| it.contains_key(key));
            if !own.contains_key(key) && matched.iter().any(carriers) {
                matched.retain(|other| !carriers(other));
                terms.push(Selector::Not(Box::new(Selector::Has(key.clone()))));
            }
        }
        candidate(terms, matched)
    }
}

/// Whether VMs with the one labels carry all of the other that can be said.
fn carries(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().filter(said).all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a label can be written in a selector.
fn said((key, value): &(&String, &String)) -> bool {
    plain(key) && plain(value) && !key.is_empty()
}

fn plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '"' | '\\'))
}

fn equals((key, value): (&String, &String)) -> Selector {
    Selector::Equals(key.clone(), value.clone())
}

fn candidate(mut terms: Vec<Selector>, classes: BTreeSet<usize>) -> Candidate {
    let count = terms.len();
    let selector = match (terms.pop(), count) {
        (None, _) => Selector::Vms,
        (Some(only), 1) => only,
        (Some(last), _) => {
            terms.push(last);
            Selector::And(terms)
        }
    };
    Candidate { text: selector.to_string(), terms: count, classes }
}

/// `vms`, each label, and each two labels that a VM carries; of those that match the same, the simplest.
fn candidates(labels: &[Labels]) -> Vec<Candidate> {
    let mut singles: BTreeMap<(&String, &String), BTreeSet<usize>> = BTreeMap::new();
    let mut pairs: BTreeMap<[(&String, &String); 2], BTreeSet<usize>> = BTreeMap::new();
    for (class, all) in labels.iter().enumerate() {
        let all: Vec<(&String, &String)> = all.iter().filter(said).collect();
        for first in &all {
            singles.entry(*first).or_default().insert(class);
        }
        let both =
            all.iter().enumerate().flat_map(|(place, first)| all.iter().skip(place + 1).map(|other| [*first, *other]));
        for key in both {
            if pairs.len() < MOST_PAIRS || pairs.contains_key(&key) {
                pairs.entry(key).or_default().insert(class);
            }
        }
    }
    let whole = candidate(Vec::new(), (0..labels.len()).collect());
    let singles = singles.into_iter().map(|(label, classes)| candidate(vec![equals(label)], classes));
    let pairs = pairs.into_iter().map(|(both, classes)| candidate(both.map(equals).to_vec(), classes));
    let mut simplest: BTreeMap<BTreeSet<usize>, Candidate> = BTreeMap::new();
    for candidate in std::iter::once(whole).chain(singles).chain(pairs) {
        simplest.entry(candidate.classes.clone()).or_insert(candidate);
    }
    simplest.into_values().collect()
}

//! Without an inventory: one that is made up of all kinds of VMs that the selectors of two policies can tell apart, two VMs of
//! each kind.
//!
//! Of a key only the values matter that a selector names, one that none names, and its absence; what no selector tells apart
//! is one choice. Of a key that rules compare (`within`) each value is a choice, and there are two that no selector names:
//! a source has the first of them, a destination that has the second differs from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Labelled;
use super::boxes::{self, Boxed};
use crate::classify::addresses::{Addresses, address, number};
use crate::classify::terms::Terms;
use crate::{Family, Inventory, Key, Name, Policy, Selector, Vm};

/// The most kinds of VMs that two policies may tell apart, to be compared without an inventory.
pub const LARGEST: usize = 20_000;
/// The most pairs of kinds that a change may be about, likewise.
pub const MOST_PAIRS: u64 = 25_000_000;

/// Why two policies cannot be compared without an inventory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// Their selectors tell apart too many kinds of VMs.
    #[error(
        "decide it for all labels: the selectors tell apart {0} kinds of VMs, and {LARGEST} are the most; give an inventory"
    )]
    Kinds(u128),
    /// The change is about too many pairs of kinds.
    #[error(
        "decide it for all labels: the change is about {0} pairs of kinds of VMs, and {MOST_PAIRS} are the most; give an inventory"
    )]
    Pairs(u64),
    /// Their groups leave no room for the addresses of the VMs that would be made up.
    #[error("decide it for all labels: the groups of addresses leave too little room beside them; give an inventory")]
    Room,
}

/// A key that selectors speak of.
#[derive(Clone, Debug)]
pub(super) struct Spoken {
    pub(super) key: Key,
    /// Whether a rule compares its values.
    pub(super) compared: bool,
    pub(super) choices: Vec<Choice>,
}

/// What a VM may have of a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// One of these values.
    pub(super) values: Vec<String>,
    /// Or one that no selector names.
    pub(super) other: bool,
    /// One that no selector names, and that differs from the source's.
    pub(super) another: bool,
    /// Or nothing.
    pub(super) absent: bool,
}

/// The kinds of VMs that were made up; none where an inventory was given.
#[derive(Default)]
pub(super) struct Kinds {
    keys: Vec<Spoken>,
    /// For each VM the number of its choice of each key.
    picked: BTreeMap<Name, Vec<usize>>,
}

impl Kinds {
    pub(super) fn is_empty(&self) -> bool {
        self.picked.is_empty()
    }

    /// Whether flows from a VM are looked at. With the two values that no selector names changed for each other all stays
    /// the same, so that a source needs only the first.
    pub(super) fn sends(&self, vm: &Name) -> bool {
        let picked = self.picked.get(vm).into_iter().flatten();
        !self.keys.iter().zip(picked).any(|(key, choice)| key.choices[*choice].another)
    }

    /// How many pairs they are, by kinds. For a source that has neither of the two values that no selector names, or that is
    /// outside, those two are one.
    pub(super) fn pairs(&self, sources: Vec<Option<&Name>>, destinations: Vec<Option<&Name>>) -> u64 {
        let sources = self.by_keys(sources, |choice| choice.other);
        let destinations = self.by_keys(destinations, |choice| choice.another);
        let pairs = sources.iter().flat_map(|source| destinations.iter().map(move |to| (source, to)));
        pairs.filter(|((own, _), (another, _))| another.is_subset(own)).map(|((_, one), (_, other))| one * other).sum()
    }

    /// How many of some VMs have such a choice of which keys.
    fn by_keys(&self, vms: Vec<Option<&Name>>, such: fn(&Choice) -> bool) -> BTreeMap<BTreeSet<usize>, u64> {
        let mut counts = BTreeMap::new();
        for vm in vms {
            let picked = vm.and_then(|vm| self.picked.get(vm)).into_iter().flatten();
            let keys = self.keys.iter().zip(picked).enumerate();
            let such = keys.filter(|(_, (key, choice))| such(&key.choices[**choice])).map(|(place, _)| place);
            *counts.entry(such.collect()).or_default() += 1;
        }
        counts
    }

    /// Some VMs, as sources or as destinations, by their labels.
    pub(super) fn told<'a>(&self, vms: impl Iterator<Item = &'a Name>, towards: bool) -> Vec<Labelled> {
        let single = |picked: &Vec<usize>| picked.iter().map(|choice| BTreeSet::from([*choice])).collect();
        let single: BTreeSet<Boxed> = vms.filter_map(|vm| self.picked.get(vm)).map(single).collect();
        boxes::merged(single, &self.keys, towards).iter().map(|some| boxes::told(some, &self.keys, towards)).collect()
    }
}

/// An inventory of all kinds of VMs.
pub(super) fn all(policies: &[&Policy]) -> Result<(Inventory, Kinds), Undecidable> {
    let mut terms = Terms::default();
    policies.iter().for_each(|policy| drop(terms.read(policy)));
    let keys = spoken(&terms);
    let count = keys.iter().try_fold(1u128, |count, key| count.checked_mul(key.choices.len() as u128));
    let count = count.unwrap_or(u128::MAX);
    if count > LARGEST as u128 {
        return Err(Undecidable::Kinds(count));
    }
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for key in &keys {
        let longer = |picked: Vec<usize>| {
            (0..key.choices.len()).map(move |choice| picked.iter().copied().chain([choice]).collect())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    let (mut inventory, mut kinds) = (Inventory::default(), Kinds { keys, picked: BTreeMap::new() });
    let mut addresses = room(&terms, 2 * all.len())?.into_iter();
    for (kind, picked) in all.into_iter().enumerate() {
        for twin in ["a", "b"] {
            let Ok(name) = format!("kind-{kind:05}-{twin}").parse::<Name>() else { continue };
            let addresses = addresses.next().into_iter().flatten().collect();
            let labels = labels(&kinds.keys, &picked);
            inventory.vms.insert(name.clone(), Vm { labels, addresses, managed: true, ..Vm::default() });
            kinds.picked.insert(name, picked.clone());
        }
    }
    Ok((inventory, kinds))
}

fn labels(keys: &[Spoken], picked: &[usize]) -> BTreeMap<Key, String> {
    let of = |(key, choice): (&Spoken, &usize)| Some((key.key.clone(), key.label(&key.choices[*choice])?));
    keys.iter().zip(picked).filter_map(of).collect()
}

impl Spoken {
    /// All values that a selector names.
    pub(super) fn named(&self) -> BTreeSet<&String> {
        self.choices.iter().flat_map(|choice| &choice.values).collect()
    }

    /// The value that stands for a choice.
    fn label(&self, choice: &Choice) -> Option<String> {
        let named = self.named();
        let unnamed = |word: &str| {
            let mut word = word.to_owned();
            while named.contains(&word) {
                word.push('-');
            }
            word
        };
        match choice {
            Choice { another: true, .. } => Some(unnamed("another")),
            Choice { other: true, .. } => Some(unnamed("other")),
            Choice { values, .. } => values.first().cloned(),
        }
    }
}

/// What the selectors and `within` speak of, by keys.
fn spoken(terms: &Terms<'_>) -> Vec<Spoken> {
    let mut leaves: BTreeMap<&Key, BTreeSet<&Selector>> = BTreeMap::new();
    terms.selectors().into_iter().for_each(|selector| gather(selector, &mut leaves));
    let within: BTreeSet<Key> = terms.within().into_iter().map(Key::from).collect();
    let keys: BTreeSet<&Key> = leaves.keys().copied().chain(&within).collect();
    let nothing = BTreeSet::new();
    let of = |key: &Key| {
        let (leaves, compared) = (leaves.get(key).unwrap_or(&nothing), within.contains(key));
        let named: BTreeSet<String> = leaves.iter().flat_map(|leaf| named(leaf)).collect();
        let choices = if compared { each(named) } else { alike(named, leaves) };
        Spoken { key: key.clone(), compared, choices }
    };
    keys.into_iter().map(of).collect()
}

fn each(named: BTreeSet<String>) -> Vec<Choice> {
    let values = named.into_iter().map(|value| Choice { values: vec![value], ..Choice::default() });
    let absent = Choice { absent: true, ..Choice::default() };
    let other = Choice { other: true, ..Choice::default() };
    let another = Choice { another: true, ..Choice::default() };
    values.chain([other, another, absent]).collect()
}

/// Choices that no selector tells apart are one.
fn alike(named: BTreeSet<String>, leaves: &BTreeSet<&Selector>) -> Vec<Choice> {
    let holds = |value: Option<&String>, unnamed: bool| -> Vec<bool> {
        leaves.iter().map(|leaf| holds(leaf, value, unnamed)).collect()
    };
    let mut choices: BTreeMap<Vec<bool>, Choice> = BTreeMap::new();
    choices.entry(holds(None, true)).or_default().other = true;
    choices.entry(holds(None, false)).or_default().absent = true;
    for value in named {
        choices.entry(holds(Some(&value), false)).or_default().values.push(value);
    }
    choices.into_values().collect()
}

/// Whether a term about one key holds for a value that is named, for one that is not, or for none.
fn holds(leaf: &Selector, value: Option<&String>, unnamed: bool) -> bool {
    match leaf {
        Selector::Has(_) => value.is_some() || unnamed,
        Selector::Equals(_, wanted) => value == Some(wanted),
        Selector::Differs(_, other) => value != Some(other),
        Selector::In(_, wanted) => value.is_some_and(|value| wanted.contains(value)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => false,
        Selector::Not(_) | Selector::And(_) | Selector::Or(_) => false,
    }
}

fn named(leaf: &Selector) -> Vec<String> {
    match leaf {
        Selector::Equals(_, value) | Selector::Differs(_, value) => vec![value.clone()],
        Selector::In(_, values) => values.clone(),
        Selector::Has(_) | Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => Vec::new(),
        Selector::Not(_) | Selector::And(_) | Selector::Or(_) => Vec::new(),
    }
}

/// The terms of a selector, by their keys.
fn gather<'p>(selector: &'p Selector, leaves: &mut BTreeMap<&'p Key, BTreeSet<&'p Selector>>) {
    match selector {
        Selector::Has(key) | Selector::Equals(key, _) | Selector::Differs(key, _) | Selector::In(key, _) => {
            leaves.entry(key).or_default().insert(selector);
        }
        Selector::Not(inner) => gather(inner, leaves),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().for_each(|part| gather(part, leaves)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => {}
    }
}

/// An address of each family for so many VMs, where they take none from any group as a whole: at the end of the longest
/// range that no group divides.
fn room(terms: &Terms<'_>, count: usize) -> Result<Vec<[IpAddr; 2]>, Undecidable> {
    let groups: Vec<_> = terms.groups().into_keys().collect();
    let outside = Addresses::of(&Inventory::default(), &groups).outside;
    let longest = |family: Family| {
        let classes = outside.iter().filter(|class| class.family == family && class.nature.ordinary());
        let ranges = classes.flat_map(|class| &class.ranges).map(|(first, last)| (number(*first), number(*last)));
        let (first, last) = ranges.max_by_key(|(first, last)| last - first)?;
        (last - first > count as u128 + 1).then_some(last)
    };
    let (Some(v4), Some(v6)) = (longest(Family::V4), longest(Family::V6)) else { return Err(Undecidable::Room) };
    let both = |place: u128| [address(Family::V4, v4 - place), address(Family::V6, v6 - place)];
    Ok((1..=count as u128).map(both).collect())
}

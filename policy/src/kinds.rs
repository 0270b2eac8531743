//! Which VMs there can be, where nobody says which there are: those that the labels of which policies speak tell apart.
//!
//! Of a key only the values matter that a selector names, one that none names, and its absence; what no selector tells apart
//! is one choice. Of a key that rules compare (`within`) each value is a choice, and there are two that no selector names:
//! a source has the first of them, a destination that has the second differs from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::classify::addresses::{Addresses, address, number};
use crate::classify::terms::Terms;
use crate::{Family, Inventory, Key, Name, Selector, Vm};

/// Why not every kind of VM can be gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// There are more kinds than the most: how many there can be, and the most.
    #[error("the selectors tell apart up to {0} kinds of VMs, and {1} are the most; give an inventory")]
    Kinds(u128, usize),
    /// The groups leave no room for the addresses of the VMs that would be made up.
    #[error("the groups of addresses leave too little room beside them; give an inventory")]
    Room,
}

/// A key that selectors speak of.
#[derive(Clone, Debug)]
pub(crate) struct Spoken {
    pub(crate) key: Key,
    /// Whether a rule compares its values.
    pub(crate) compared: bool,
    pub(crate) choices: Vec<Choice>,
}

/// What a VM may have of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// One of these values.
    pub(crate) values: Vec<String>,
    /// Or one that no selector names.
    pub(crate) other: bool,
    /// One that no selector names, and that differs from the source's.
    pub(crate) another: bool,
    /// Or nothing.
    pub(crate) absent: bool,
}

/// A kind of VM: for each key the number of its choice.
pub(crate) type Picked = Vec<usize>;
/// The same, and before it how many labels tell of it.
type Plain = (usize, Picked);

pub(crate) type Labels = BTreeMap<Key, String>;

/// What the selectors and `within` speak of, by keys.
pub(crate) fn spoken(terms: &Terms<'_>) -> Vec<Spoken> {
    let mut leaves: BTreeMap<&str, BTreeSet<&Selector>> = BTreeMap::new();
    terms.selectors().into_iter().for_each(|selector| gather(selector, &mut leaves));
    let within: BTreeSet<&str> = terms.within().into_iter().collect();
    for key in &within {
        leaves.entry(key).or_default();
    }
    let of = |(key, leaves): (&str, BTreeSet<&Selector>)| {
        let (key, compared) = (Key::from(key), within.contains(key));
        let choices = if compared { each(named(&leaves)) } else { alike(&key, &leaves) };
        Spoken { key, compared, choices }
    };
    leaves.into_iter().map(of).collect()
}

/// One kind of each that the selectors tell apart; and of those keys that are kept, whatever the selectors say, one of every
/// choice. Each is told by the fewest labels.
///
/// # Errors
/// There are more than the most.
pub(crate) fn all(
    keys: &[Spoken],
    selectors: &BTreeSet<&Selector>,
    kept: fn(&Spoken) -> bool,
    most: usize,
) -> Result<Vec<Plain>, TooMuch> {
    let mut forms = Forms::default();
    let left = selectors.iter().map(|selector| forms.number((*selector).clone())).collect();
    let mut kinds = Kinds::from([((left, Picked::new()), Plain::default())]);
    for key in keys {
        let split = split(&kinds, &mut forms, (key, kept(key)), most);
        let count = |count: u128, key: &Spoken| count.saturating_mul(key.choices.len() as u128);
        kinds = split.ok_or_else(|| TooMuch::Kinds(keys.iter().fold(1, count), most))?;
    }
    Ok(kinds.into_values().collect())
}

/// The labels of a kind.
pub(crate) fn labels<'k>(picked: impl Iterator<Item = (&'k Spoken, &'k usize)>) -> Labels {
    picked.filter_map(|(key, choice)| Some((key.key.clone(), key.label(&key.choices[*choice])?))).collect()
}

/// VMs with such labels, all with an agent that enforces. They take their addresses from no group as a whole.
///
/// # Errors
/// There is no room for their addresses.
pub(crate) fn vms(all: Vec<Labels>, terms: &Terms<'_>) -> Result<Vec<(Name, Vm)>, TooMuch> {
    let addresses = room(terms, all.len())?;
    let vm = |(number, (labels, addresses)): (usize, (Labels, [IpAddr; 2]))| {
        let name = format!("kind-{number:06}").parse().ok()?;
        Some((name, Vm { labels, addresses: addresses.into(), managed: true, ..Vm::default() }))
    };
    Ok(all.into_iter().zip(addresses).enumerate().filter_map(vm).collect())
}

impl Spoken {
    /// All values that a selector names.
    pub(crate) fn named(&self) -> BTreeSet<&String> {
        self.choices.iter().flat_map(|choice| &choice.values).collect()
    }

    /// The value that stands for a choice.
    fn label(&self, choice: &Choice) -> Option<String> {
        match choice {
            Choice { another: true, .. } => Some(unnamed("another", &self.named())),
            Choice { other: true, .. } => Some(unnamed("other", &self.named())),
            Choice { values, .. } => values.first().cloned(),
        }
    }
}

fn unnamed(word: &str, named: &BTreeSet<&String>) -> String {
    let mut word = word.to_owned();
    while named.contains(&word) {
        word.push('-');
    }
    word
}

fn each(named: BTreeSet<&String>) -> Vec<Choice> {
    let values = named.into_iter().map(|value| Choice { values: vec![value.clone()], ..Choice::default() });
    let absent = Choice { absent: true, ..Choice::default() };
    let other = Choice { other: true, ..Choice::default() };
    let another = Choice { another: true, ..Choice::default() };
    values.chain([other, another, absent]).collect()
}

/// Choices that no selector tells apart are one.
fn alike(key: &Key, leaves: &BTreeSet<&Selector>) -> Vec<Choice> {
    let holds = |value: Option<&String>| -> Vec<bool> {
        let labels = value.map(|value| (key.clone(), value.clone())).into_iter().collect();
        leaves.iter().map(|leaf| leaf.matches(&labels)).collect()
    };
    let (named, mut choices) = (named(leaves), BTreeMap::<Vec<bool>, Choice>::new());
    choices.entry(holds(Some(&unnamed("other", &named)))).or_default().other = true;
    choices.entry(holds(None)).or_default().absent = true;
    for value in named {
        choices.entry(holds(Some(value))).or_default().values.push(value.clone());
    }
    choices.into_values().collect()
}

fn named<'p>(leaves: &BTreeSet<&'p Selector>) -> BTreeSet<&'p String> {
    let values = |leaf: &&'p Selector| match leaf {
        Selector::Equals(_, value) | Selector::Differs(_, value) => std::slice::from_ref(value),
        Selector::In(_, values) => values.as_slice(),
        Selector::Has(_) | Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => &[],
        Selector::Not(_) | Selector::And(_) | Selector::Or(_) => &[],
    };
    leaves.iter().flat_map(values).collect()
}

/// The terms of a selector, by their keys.
fn gather<'p>(selector: &'p Selector, leaves: &mut BTreeMap<&'p str, BTreeSet<&'p Selector>>) {
    match selector {
        Selector::Has(key) | Selector::Equals(key, _) | Selector::Differs(key, _) | Selector::In(key, _) => {
            leaves.entry(key).or_default().insert(selector);
        }
        Selector::Not(inner) => gather(inner, leaves),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().for_each(|part| gather(part, leaves)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => {}
    }
}

/// By what is left of each selector, and the choices of the keys that are kept: a kind for which that is left.
type Kinds = BTreeMap<(Vec<usize>, Picked), Plain>;

/// Gives every kind every choice of a key, and keeps those that differ; `None` where they are more than the most.
fn split(kinds: &Kinds, forms: &mut Forms, (key, kept): (&Spoken, bool), most: usize) -> Option<Kinds> {
    let mut after = Kinds::new();
    let mut choices: Vec<usize> = (0..key.choices.len()).collect();
    // What is named stands for what is like it.
    choices.sort_by_key(|choice| key.choices[*choice].other);
    for choice in choices {
        let (labels, mut known) = (labels(std::iter::once((key, &choice))), BTreeMap::new());
        let mut given = |form: &usize| *known.entry(*form).or_insert_with(|| forms.given(*form, &key.key, &labels));
        for ((left, apart), (count, picked)) in kinds {
            let plain = (count + usize::from(!key.choices[choice].absent), extended(picked, Some(choice)));
            let left = left.iter().map(&mut given).collect();
            let told = after.entry((left, extended(apart, kept.then_some(choice)))).or_insert_with(|| plain.clone());
            if plain.0 < told.0 {
                *told = plain;
            }
        }
        if after.len() > most {
            return None;
        }
    }
    Some(after)
}

fn extended(picked: &Picked, more: Option<usize>) -> Picked {
    picked.iter().copied().chain(more).collect()
}

/// What is left of selectors once some labels are known, by numbers, each once.
#[derive(Default)]
struct Forms {
    numbers: BTreeMap<Selector, usize>,
    all: Vec<Selector>,
}

impl Forms {
    fn number(&mut self, form: Selector) -> usize {
        *self.numbers.entry(form).or_insert_with_key(|form| {
            self.all.push(form.clone());
            self.all.len() - 1
        })
    }

    fn given(&mut self, form: usize, key: &Key, labels: &Labels) -> usize {
        let given = given(&self.all[form], key, labels);
        self.number(given)
    }
}

/// What is left of a selector for VMs that have this of a key: `vms` where it matches them all, `outside` where none.
fn given(selector: &Selector, key: &Key, labels: &Labels) -> Selector {
    let left = |parts: &[Selector]| parts.iter().map(|part| given(part, key, labels)).collect();
    match selector {
        Selector::Has(of) | Selector::Equals(of, _) | Selector::Differs(of, _) | Selector::In(of, _) if of != key => {
            selector.clone()
        }
        Selector::Not(inner) => negated(given(inner, key, labels)),
        Selector::And(parts) => joined(left(parts), Selector::And, [Selector::Vms, Selector::Outside]),
        Selector::Or(parts) => joined(left(parts), Selector::Or, [Selector::Outside, Selector::Vms]),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) | Selector::Has(_) => {
            known(selector, labels)
        }
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => known(selector, labels),
    }
}

fn known(selector: &Selector, labels: &Labels) -> Selector {
    if selector.matches(labels) { Selector::Vms } else { Selector::Outside }
}

fn negated(inner: Selector) -> Selector {
    if inner == Selector::Vms {
        Selector::Outside
    } else if inner == Selector::Outside {
        Selector::Vms
    } else {
        Selector::Not(Box::new(inner))
    }
}

/// Some parts together, of which one says nothing, and another all.
fn joined(mut parts: Vec<Selector>, join: fn(Vec<Selector>) -> Selector, [nothing, all]: [Selector; 2]) -> Selector {
    if parts.contains(&all) {
        return all;
    }
    parts.retain(|part| *part != nothing);
    parts.sort_unstable();
    parts.dedup();
    if parts.len() > 1 { join(parts) } else { parts.pop().unwrap_or(nothing) }
}

/// An address of each family for so many VMs, where they take none from any group as a whole: at the end of the longest
/// range that no group divides.
fn room(terms: &Terms<'_>, count: usize) -> Result<Vec<[IpAddr; 2]>, TooMuch> {
    let groups: Vec<_> = terms.groups().into_keys().collect();
    let outside = Addresses::of(&Inventory::default(), &groups).outside;
    let longest = |family: Family| {
        let classes = outside.iter().filter(|class| class.family == family && class.nature.ordinary());
        let ranges = classes.flat_map(|class| &class.ranges).map(|(first, last)| (number(*first), number(*last)));
        let (first, last) = ranges.max_by_key(|(first, last)| last - first)?;
        (last - first > count as u128 + 1).then_some(last)
    };
    let (Some(v4), Some(v6)) = (longest(Family::V4), longest(Family::V6)) else { return Err(TooMuch::Room) };
    let both = |place: u128| [address(Family::V4, v4 - place), address(Family::V6, v6 - place)];
    Ok((1..=count as u128).map(both).collect())
}

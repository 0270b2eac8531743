//! Kinds of VMs by few selectors: boxes of choices, and those that differ in one key alone are put together.

use std::collections::{BTreeMap, BTreeSet};

use super::Labelled;
use crate::Selector;
use crate::kinds::{Choice, Spoken};

/// A box: for each key some of its choices.
pub(super) type Boxed = Vec<BTreeSet<usize>>;

/// The same kinds in fewer boxes; none stands in two.
pub(super) fn merged(mut all: BTreeSet<Boxed>, keys: &[Spoken], towards: bool) -> BTreeSet<Boxed> {
    // Each round makes fewer of them, or is the last.
    for _ in 0..=all.len() {
        let before = all.len();
        for (place, key) in keys.iter().enumerate() {
            all = along(all, place, key, towards);
        }
        if all.len() == before {
            break;
        }
    }
    all
}

/// Puts together the boxes that differ in one key alone.
fn along(all: BTreeSet<Boxed>, place: usize, key: &Spoken, towards: bool) -> BTreeSet<Boxed> {
    let mut alike: BTreeMap<Boxed, BTreeSet<usize>> = BTreeMap::new();
    for mut one in all {
        let choices = std::mem::take(&mut one[place]);
        alike.entry(one).or_default().extend(choices);
    }
    let parts = alike.into_iter().flat_map(|(rest, choices)| {
        parts(choices, key, towards).into_iter().map(move |choices| {
            let mut whole = rest.clone();
            whole[place] = choices;
            whole
        })
    });
    parts.collect()
}

/// What of some choices one text can tell: of a destination, its source's own value or another stand alone, unless both do.
fn parts(choices: BTreeSet<usize>, key: &Spoken, towards: bool) -> Vec<BTreeSet<usize>> {
    if !key.compared || !towards {
        return vec![choices];
    }
    let (unnamed, rest): (BTreeSet<usize>, BTreeSet<usize>) = choices.iter().partition(|choice| {
        let Choice { other, another, .. } = key.choices[**choice];
        other || another
    });
    if unnamed.len() > 1 {
        return vec![choices];
    }
    [unnamed, rest].into_iter().filter(|some| !some.is_empty()).collect()
}

/// A box in words.
pub(super) fn told(some: &Boxed, keys: &[Spoken], towards: bool) -> Labelled {
    let (mut terms, mut same, mut differing) = (Vec::new(), Vec::new(), Vec::new());
    for (choices, key) in some.iter().zip(keys) {
        let picked: Vec<&Choice> = choices.iter().map(|choice| &key.choices[*choice]).collect();
        terms.extend(term(&picked, key));
        let (other, another) = (picked.iter().any(|choice| choice.other), picked.iter().any(|choice| choice.another));
        match (key.compared && towards, other, another) {
            (true, true, false) => same.push(key.key.clone()),
            (true, false, true) => differing.push(key.key.clone()),
            (false, _, _) | (_, true, true) | (_, false, false) => {}
        }
    }
    let selector = if terms.len() > 1 { Selector::And(terms) } else { terms.pop().unwrap_or(Selector::Vms) };
    Labelled { selector, same, differing }
}

/// Terms, all of which hold for these choices of a key and for no others.
fn term(picked: &[&Choice], key: &Spoken) -> Vec<Selector> {
    let (name, values) = (|| key.key.clone(), picked.iter().flat_map(|choice| &choice.values));
    let values: BTreeSet<&String> = values.collect();
    let absent = picked.iter().any(|choice| choice.absent);
    if picked.iter().any(|choice| choice.other || choice.another) {
        let named = key.named();
        let others = named.difference(&values).map(|value| Selector::Differs(name(), (*value).clone()));
        return (!absent).then(|| Selector::Has(name())).into_iter().chain(others).collect();
    }
    let mut either: Vec<Selector> = Vec::new();
    match values.iter().collect::<Vec<_>>().as_slice() {
        [] => {}
        [only] => either.push(Selector::Equals(name(), (**only).clone())),
        several => either.push(Selector::In(name(), several.iter().map(|value| (**value).clone()).collect())),
    }
    if absent {
        either.push(Selector::Not(Box::new(Selector::Has(name()))));
    }
    if either.len() > 1 { vec![Selector::Or(either)] } else { either }
}

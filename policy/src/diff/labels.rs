//! Without an inventory: one that is made up of all kinds of VMs that the selectors of two policies can tell apart, two VMs of
//! each kind.

use std::collections::{BTreeMap, BTreeSet};

use super::Labelled;
use super::boxes::{self, Boxed};
use crate::classify::terms::Terms;
use crate::kinds::{self, Choice, Picked, Spoken, TooMuch};
use crate::{Inventory, Name, Policy};

/// The most kinds of VMs that two policies may tell apart, to be compared without an inventory.
pub const LARGEST: usize = 20_000;
/// The most pairs of kinds that a change may be about, likewise.
pub const MOST_PAIRS: u64 = 25_000_000;

/// Why two policies cannot be compared without an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("decide it for all labels: {0}")]
pub enum Undecidable {
    /// Too many kinds of VMs, or no room for them.
    Kinds(#[from] TooMuch),
    /// The change is about too many pairs of kinds.
    #[error(
        "decide it for all labels: the change is about {0} pairs of kinds of VMs, and {MOST_PAIRS} are the most; give an inventory"
    )]
    Pairs(u64),
}

/// The kinds of VMs that were made up; none where an inventory was given.
#[derive(Default)]
pub(super) struct Kinds {
    keys: Vec<Spoken>,
    /// For each VM the number of its choice of each key.
    picked: BTreeMap<Name, Picked>,
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
        let single = |picked: &Picked| picked.iter().map(|choice| BTreeSet::from([*choice])).collect();
        let single: BTreeSet<Boxed> = vms.filter_map(|vm| self.picked.get(vm)).map(single).collect();
        boxes::merged(single, &self.keys, towards).iter().map(|some| boxes::told(some, &self.keys, towards)).collect()
    }
}

/// An inventory of all kinds of VMs, two of each.
pub(super) fn all(policies: &[&Policy]) -> Result<(Inventory, Kinds), TooMuch> {
    let mut terms = Terms::default();
    policies.iter().for_each(|policy| drop(terms.read(policy)));
    let keys = kinds::spoken(&terms);
    let all = kinds::all(&keys, &BTreeSet::new(), |_| true, LARGEST)?;
    let twins: Vec<Picked> = all.into_iter().flat_map(|(_, picked)| [picked.clone(), picked]).collect();
    let labels = twins.iter().map(|picked| kinds::labels(keys.iter().zip(picked))).collect();
    let vms = kinds::vms(labels, &terms)?;
    let picked = vms.iter().map(|(name, _)| name.clone()).zip(twins).collect();
    Ok((Inventory { vms: vms.into_iter().collect(), ..Inventory::default() }, Kinds { keys, picked }))
}

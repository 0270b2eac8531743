//! Which endpoints a selector matches, by operations on sets of them.

use std::collections::BTreeMap;

use super::addresses::Addresses;
use super::bits::Bits;
use crate::{AddressGroup, Inventory, Selector};

/// Which endpoints a term of a selector matches.
pub(crate) struct Members<'a> {
    size: usize,
    vms: Bits,
    outside: Bits,
    labels: BTreeMap<&'a str, BTreeMap<&'a str, Bits>>,
    groups: Vec<Bits>,
    numbers: &'a BTreeMap<&'a AddressGroup, usize>,
}

impl<'a> Members<'a> {
    pub(crate) fn of(
        inventory: &'a Inventory,
        addresses: &Addresses,
        numbers: &'a BTreeMap<&'a AddressGroup, usize>,
    ) -> Self {
        let unknown = addresses.unknown();
        let size = unknown + 1 + addresses.outside.len();
        let mut labels: BTreeMap<&str, BTreeMap<&str, Bits>> = BTreeMap::new();
        for (place, vm) in inventory.vms.values().enumerate() {
            for (key, value) in &vm.labels {
                let bits = labels.entry(key).or_default().entry(value).or_insert_with(|| Bits::none(size));
                bits.put(place);
            }
        }
        let mut groups = vec![Bits::none(size); numbers.len()];
        for (class, outside) in addresses.outside.iter().enumerate() {
            outside.groups.iter().for_each(|group| groups[group].put(unknown + 1 + class));
        }
        let (vms, outside) = (Bits::range(size, 0..unknown), Bits::range(size, unknown + 1..size));
        Self { size, vms, outside, labels, groups, numbers }
    }

    pub(crate) fn matched(&self, selector: &Selector) -> Bits {
        let all = |parts: &[Selector], join: fn(&mut Bits, &Bits), first: Bits| {
            parts.iter().fold(first, |mut all, part| {
                join(&mut all, &self.matched(part));
                all
            })
        };
        let none = || Bits::none(self.size);
        let added = |mut all: Bits, (_, some): (&&str, &Bits)| {
            all.add(some);
            all
        };
        match selector {
            Selector::Any => self.without(&none(), true),
            Selector::Vms => self.vms.clone(),
            Selector::Outside => self.outside.clone(),
            Selector::Addresses(group) => match self.numbers.get(&**group) {
                Some(&number) => self.groups[number].clone(),
                None => none(),
            },
            Selector::Has(key) => self.labels.get(key.as_str()).into_iter().flatten().fold(none(), added),
            Selector::Equals(key, wanted) => self.equal(key, wanted),
            Selector::Differs(key, other) => self.without(&self.equal(key, other), false),
            Selector::In(key, wanted) => wanted.iter().fold(none(), |mut all, value| {
                all.add(&self.equal(key, value));
                all
            }),
            Selector::Not(inner) => self.without(&self.matched(inner), false),
            Selector::And(parts) => all(parts, Bits::keep, Bits::range(self.size, 0..self.size)),
            Selector::Or(parts) => all(parts, Bits::add, none()),
        }
    }

    /// How many endpoints there are.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// All VMs, and with `outside` all outside classes too, but these.
    fn without(&self, these: &Bits, outside: bool) -> Bits {
        let mut rest = self.vms.clone();
        if outside {
            rest.add(&self.outside);
        }
        rest.remove(these);
        rest
    }

    fn equal(&self, key: &str, value: &str) -> Bits {
        let found = self.labels.get(key).and_then(|values| values.get(value));
        found.cloned().unwrap_or_else(|| Bits::none(self.size))
    }
}

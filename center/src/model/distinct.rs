//! Values of which equal ones stand once, however many there are.

use std::collections::HashMap;
use std::hash::Hash;

/// Distinct values in the order of their coming. Only those alike by a quick look are compared whole.
#[derive(Debug)]
pub(super) struct Distinct<K, T> {
    pub(super) all: Vec<T>,
    alike: HashMap<K, Vec<usize>>,
    look: fn(&T) -> K,
}

impl<K: Eq + Hash, T: PartialEq> Distinct<K, T> {
    /// None yet; `look` gives what equal values have in common.
    pub(super) fn new(look: fn(&T) -> K) -> Self {
        Self { all: Vec::new(), alike: HashMap::new(), look }
    }

    /// The place of a value, which it gets now if it has none.
    pub(super) fn place(&mut self, value: T) -> usize {
        let places = self.alike.entry((self.look)(&value)).or_default();
        if let Some(place) = places.iter().find(|place| self.all.get(**place) == Some(&value)) {
            return *place;
        }
        places.push(self.all.len());
        self.all.push(value);
        self.all.len() - 1
    }
}

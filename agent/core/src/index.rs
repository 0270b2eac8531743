//! A map by hash, which cannot be walked: all that is walked here is in order, so that what comes out is the same each time.
#![allow(clippy::disallowed_types, reason = "it is asked for single keys, and its order is never seen")]

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Values by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index<K: Eq + Hash, V: Eq>(HashMap<K, V>);

impl<K: Eq + Hash, V: Eq> Default for Index<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Copy + Eq> Index<K, V> {
    /// A key's value.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).copied()
    }

    /// Gives a key its value.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    /// Forgets every key but those of some values.
    pub(crate) fn retain(&mut self, keep: impl Fn(V) -> bool) {
        self.0.retain(|_, value| keep(*value));
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<K: Eq + Hash, V: Eq> FromIterator<(K, V)> for Index<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

//! A table of bounded size. It has no order of its own: who shows it sorts it.

/// The most places that are looked at for a key: also where keys are chosen by an adversary, a look-up ends.
const PROBES: usize = 64;
/// How many places a table begins with.
const FIRST: usize = 1024;

/// What can be a key.
pub(crate) trait Key: Copy + Eq {
    /// A number that is well spread over equal and unequal keys.
    fn spread(self) -> u64;
}

/// Mixes two numbers into one (the finaliser of splitmix64).
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Key for u128 {
    fn spread(self) -> u64 {
        let [high, low] = [(self >> 64) as u64, self as u64];
        mix(low, high)
    }
}

/// A table that holds at most so many keys.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    places: Vec<Option<(K, V)>>,
    length: usize,
    most: usize,
}

impl<K: Key, V: Copy> Table<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { places: vec![None; FIRST], length: 0, most }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.places.iter().flatten()
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        let place = self.find(key).ok()?;
        self.places.get(place)?.as_ref().map(|(_, value)| value)
    }

    /// The value of a key, made where it is absent; `None` where there is no room for it.
    pub(crate) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&mut V> {
        let mut found = self.find(key);
        if found.is_err() {
            if self.length >= self.most {
                return None;
            }
            if self.length * 2 >= self.places.len() || found == Err(None) {
                self.grow();
                found = self.find(key);
            }
        }
        let place = match found {
            Ok(place) | Err(Some(place)) => place,
            Err(None) => return None,
        };
        let held = self.places.get_mut(place)?;
        if held.is_none() {
            self.length += 1;
        }
        Some(&mut held.get_or_insert_with(|| (key, make())).1)
    }

    /// Where a key stands, else the empty place for it, if there is one near.
    fn find(&self, key: K) -> Result<usize, Option<usize>> {
        let mask = self.places.len() - 1;
        let start = key.spread() as usize;
        for step in 0..PROBES {
            let place = start.wrapping_add(step) & mask;
            match self.places.get(place) {
                Some(Some((held, _))) if *held == key => return Ok(place),
                Some(Some(_)) => {}
                Some(None) | None => return Err(Some(place)),
            }
        }
        Err(None)
    }

    /// Doubles the places, as long as that helps and nothing that was taken loses its place by it.
    fn grow(&mut self) {
        let wanted = self.places.len() * 2;
        if wanted > self.most.next_power_of_two().max(FIRST) * 4 {
            return;
        }
        let mut grown = Self { places: vec![None; wanted], length: self.length, most: self.most };
        for held in self.places.iter().flatten() {
            let Err(Some(place)) = grown.find(held.0) else { return };
            let Some(free) = grown.places.get_mut(place) else { return };
            *free = Some(*held);
        }
        *self = grown;
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Table};

    /// Keys that all meet in one place.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Same(u32);

    impl Key for Same {
        fn spread(self) -> u64 {
            7
        }
    }

    #[test]
    fn it_keeps_what_it_took_and_no_more_than_its_bound() {
        let mut table = Table::new(5000);
        let taken = (0..20_000_u128).filter(|&key| table.entry(key, || key * 2).is_some()).count();
        assert_eq!((taken, table.len()), (5000, 5000));
        assert!((0..5000).all(|key| table.get(key) == Some(&(key * 2))));
        assert_eq!(table.get(5000), None);
        assert_eq!(table.iter().count(), 5000);
    }

    #[test]
    fn keys_that_all_meet_are_refused_after_a_bound_and_those_taken_stay() {
        let mut table = Table::new(5000);
        let taken = (0..200).filter(|&key| table.entry(Same(key), || key).is_some()).count();
        assert_eq!(taken, super::PROBES);
        assert!((0..taken as u32).all(|key| table.get(Same(key)) == Some(&key)));
    }
}

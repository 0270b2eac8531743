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
#[inline]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Key for u128 {
    #[inline]
    fn spread(self) -> u64 {
        let [high, low] = [(self >> 64) as u64, self as u64];
        mix(low, high)
    }
}

/// A table that holds at most so many keys. They stand in the order in which they came; an index of few bytes for each
/// tells where.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    held: Vec<(K, V)>,
    /// For each place a part of the key's spread and, from 1, where it is held; 0 for nobody.
    index: Vec<(u32, u32)>,
    most: usize,
}

/// Where a key is held, or the free place of the index for it, if one is near.
enum Found {
    Held(usize),
    Free(usize),
    Nowhere,
}

impl<K: Key, V> Table<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { held: Vec::new(), index: vec![(0, 0); FIRST], most: most.min(u32::MAX as usize - 1) }
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.held.iter()
    }

    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        match self.find(key, key.spread()) {
            Found::Held(place) => self.held.get(place).map(|(_, value)| value),
            Found::Free(_) | Found::Nowhere => None,
        }
    }

    /// Where a key's value is, made where it is absent; `None` where there is no room for it.
    pub(crate) fn place(&mut self, key: K, make: impl FnOnce() -> V) -> Option<usize> {
        self.place_at(key, key.spread(), make)
    }

    /// The same for a key whose spread is known.
    #[inline]
    pub(crate) fn place_at(&mut self, key: K, spread: u64, make: impl FnOnce() -> V) -> Option<usize> {
        let mut found = self.find(key, spread);
        if !matches!(found, Found::Held(_)) {
            if self.held.len() >= self.most {
                return None;
            }
            if self.held.len() * 2 >= self.index.len() || matches!(found, Found::Nowhere) {
                self.grow();
                found = self.find(key, spread);
            }
        }
        match found {
            Found::Held(place) => Some(place),
            Found::Free(free) => {
                self.held.push((key, make()));
                let number = self.held.len();
                *self.index.get_mut(free)? = (tag(spread), number as u32);
                Some(number - 1)
            }
            Found::Nowhere => None,
        }
    }

    /// Reads where a look-up begins. Who looks for many keys touches all of them first: so their reads go on at the same time,
    /// and memory that is far is waited for once.
    #[inline]
    pub(crate) fn touch(&self, spread: u64) {
        let place = spread as usize & (self.index.len() - 1);
        std::hint::black_box(self.index.get(place).copied());
    }

    /// The key and the value at a place.
    pub(crate) fn entry(&self, place: usize) -> Option<&(K, V)> {
        self.held.get(place)
    }

    /// The value at a place.
    #[inline]
    pub(crate) fn at(&mut self, place: usize) -> Option<&mut V> {
        self.held.get_mut(place).map(|(_, value)| value)
    }

    #[inline]
    fn find(&self, key: K, spread: u64) -> Found {
        let mask = self.index.len() - 1;
        let wanted = tag(spread);
        for step in 0..PROBES {
            let place = (spread as usize).wrapping_add(step) & mask;
            match self.index.get(place) {
                Some((_, 0)) | None => return Found::Free(place),
                Some((found, number)) if *found == wanted && self.is_at(*number as usize - 1, key) => {
                    return Found::Held(*number as usize - 1);
                }
                Some(_) => {}
            }
        }
        Found::Nowhere
    }

    #[inline]
    fn is_at(&self, place: usize, key: K) -> bool {
        self.held.get(place).is_some_and(|(found, _)| *found == key)
    }

    /// Doubles the index, as long as that helps and nothing that was taken loses its place by it.
    fn grow(&mut self) {
        let wanted = self.index.len() * 2;
        if wanted > self.most.next_power_of_two().max(FIRST) * 4 {
            return;
        }
        let mut index = vec![(0, 0); wanted];
        for (number, (key, _)) in (1..).zip(&self.held) {
            let spread = key.spread();
            let places = (0..PROBES).map(|step| (spread as usize).wrapping_add(step) & (wanted - 1));
            let mut free = places.filter(|place| index.get(*place).is_some_and(|(_, number)| *number == 0));
            let Some(place) = free.next().and_then(|place| index.get_mut(place)) else { return };
            *place = (tag(spread), number);
        }
        self.index = index;
    }
}

/// A part of a spread that says little of the place.
#[inline]
fn tag(spread: u64) -> u32 {
    (spread >> 32) as u32
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
        let taken = (0..20_000_u128).filter(|&key| table.place(key, || key * 2).is_some()).count();
        assert_eq!((taken, table.len()), (5000, 5000));
        assert!((0..5000).all(|key| table.get(key) == Some(&(key * 2))));
        assert_eq!(table.get(5000), None);
        assert_eq!(table.iter().count(), 5000);
    }

    #[test]
    fn keys_that_all_meet_are_refused_after_a_bound_and_those_taken_stay() {
        let mut table = Table::new(5000);
        let taken = (0..200).filter(|&key| table.place(Same(key), || key).is_some()).count();
        assert_eq!(taken, super::PROBES);
        assert!((0..taken as u32).all(|key| table.get(Same(key)) == Some(&key)));
    }
}

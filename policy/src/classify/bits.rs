//! Sets of small numbers, as bits.

/// How many numbers a word holds.
pub(crate) const WORD: usize = 64;

/// A set of numbers below a size that is fixed when it is made; only sets of one size are put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set.
    pub(crate) fn none(size: usize) -> Self {
        Self(vec![0; size.div_ceil(WORD)])
    }

    /// The numbers of a range that lies below the size.
    pub(crate) fn range(size: usize, range: std::ops::Range<usize>) -> Self {
        let mut bits = Self::none(size);
        range.for_each(|number| bits.put(number));
        bits
    }

    /// Those that hold.
    pub(crate) fn of(size: usize, holds: impl Fn(usize) -> bool) -> Self {
        let mut bits = Self::none(size);
        (0..size).filter(|&number| holds(number)).for_each(|number| bits.put(number));
        bits
    }

    pub(crate) fn put(&mut self, number: usize) {
        self.0[number / WORD] |= 1 << (number % WORD);
    }

    pub(crate) fn take(&mut self, number: usize) {
        self.0[number / WORD] &= !(1 << (number % WORD));
    }

    pub(crate) fn has(&self, number: usize) -> bool {
        self.0[number / WORD] & (1 << (number % WORD)) != 0
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn remove(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    /// What two sets share.
    pub(crate) fn both(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(word, other)| word & other).collect())
    }

    /// The numbers, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(place, &word)| ones(word).map(move |bit| place * WORD + bit))
    }
}

/// The places of the bits that are set in a word.
pub(crate) fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(lowest)
    })
}

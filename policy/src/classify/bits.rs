//! Sets of small numbers, as bits.

/// How many numbers a word holds.
pub(crate) const WORD: usize = 64;

/// A set of numbers below a size that is fixed when it is made; only sets of one size are put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    #[inline]
    pub(crate) fn has(&self, number: usize) -> bool {
        self.0[number / WORD] & (1 << (number % WORD)) != 0
    }

    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    /// The least number.
    pub(crate) fn first(&self) -> Option<usize> {
        self.iter().next()
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

    /// Whether all of it is in another set.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(word, other)| word & !other == 0)
    }

    /// Whether two sets share a number.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(word, other)| word & other != 0)
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

/// A set that knows which of its words hold any, so that sets that share little are gone through in a few steps.
#[derive(Clone, Debug)]
pub(crate) struct Marked {
    bits: Bits,
    filled: Bits,
}

impl From<Bits> for Marked {
    fn from(bits: Bits) -> Self {
        let filled = Bits::of(bits.0.len(), |place| bits.0[place] != 0);
        Self { bits, filled }
    }
}

impl Marked {
    pub(crate) fn bits(&self) -> &Bits {
        &self.bits
    }

    /// What it shares with a set; `None` where that is nothing.
    pub(crate) fn both(&self, other: &Bits) -> Option<Bits> {
        let meets = self.filled.iter().any(|place| self.bits.0[place] & other.0[place] != 0);
        meets.then(|| self.bits.both(other))
    }
}

/// The words that some sets share, but for empty ones, with their places from a first one on.
#[inline]
pub(crate) fn shared<const N: usize>(sets: [&Marked; N], first: usize) -> impl Iterator<Item = (usize, u64)> {
    let filled = sets.map(|set| set.filled.words());
    let words = sets.map(|set| set.bits.words());
    let both = |words: &[&[u64]; N], place: usize| words.iter().fold(!0, |both, words| both & words[place]);
    let blocks = first / WORD..filled.first().map_or(0, |filled| filled.len());
    let places = blocks.flat_map(move |block| {
        let before = if block == first / WORD { !0 << (first % WORD) } else { !0 };
        ones(both(&filled, block) & before).map(move |bit| block * WORD + bit)
    });
    places.map(move |place| (place, both(&words, place))).filter(|(_, word)| *word != 0)
}

/// The least number from `start` on that three sets share and that is kept, word by word, by its place.
#[inline]
pub(crate) fn least(sets: [&Marked; 3], start: usize, keep: impl Fn(usize, u64) -> u64) -> Option<usize> {
    let [one, other, third] = sets;
    let filled = [one.filled.words(), other.filled.words(), third.filled.words()];
    let words = [one.bits.words(), other.bits.words(), third.bits.words()];
    let both = |words: [&[u64]; 3], place: usize| words[0][place] & words[1][place] & words[2][place];
    let first = start / WORD;
    for block in first / WORD..filled[0].len() {
        let before = if block == first / WORD { !0 << (first % WORD) } else { !0 };
        let mut marks = both(filled, block) & before;
        while marks != 0 {
            let place = block * WORD + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            let before = if place == first { !0 << (start % WORD) } else { !0 };
            let word = keep(place, both(words, place) & before);
            if word != 0 {
                return Some(place * WORD + word.trailing_zeros() as usize);
            }
        }
    }
    None
}

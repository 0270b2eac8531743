//! What two policies share, so that only the pairs that a changed rule is about need a look.

use std::collections::BTreeMap;

use crate::classify::bits::{Bits, Marked};
use crate::classify::table::{Identity, Table};

/// The rules of two policies that are not the same in both, and in the same order.
pub(super) struct Changed {
    /// For each policy the changed rules that may match from a class of sources, and to one of destinations, cut down to the
    /// words that hold any.
    policies: [Touch; 2],
    /// What holds where no rule does has changed.
    ends: bool,
}

struct Touch {
    from: Vec<Vec<u64>>,
    to: Vec<Vec<u64>>,
}

impl Changed {
    pub(super) fn between(old: &Table, new: &Table) -> Self {
        let kept = common(&old.identities, &new.identities);
        let ends = !old.ends_as(new);
        let touch = |table: &Table, kept: &dyn Fn(&(usize, usize)) -> usize, common: &[(usize, usize)]| {
            let mut changed = Bits::range(table.actions.len(), 0..table.actions.len());
            common.iter().for_each(|pair| changed.take(kept(pair)));
            let places: Vec<usize> = (0..changed.words().len()).filter(|&place| changed.words()[place] != 0).collect();
            let cut =
                |rules: &Bits| places.iter().map(|&place| rules.words()[place] & changed.words()[place]).collect();
            let of = |classes: &[Marked]| classes.iter().map(|rules| cut(rules.bits())).collect();
            Touch { from: of(&table.from), to: of(&table.to) }
        };
        let policies = [touch(old, &|pair| pair.0, &kept), touch(new, &|pair| pair.1, &kept)];
        Self { policies, ends }
    }

    /// Whether a verdict between two classes of endpoints may have changed.
    pub(super) fn touches(&self, source: usize, destination: usize) -> bool {
        let meets =
            |touch: &Touch| touch.from[source].iter().zip(&touch.to[destination]).any(|(one, two)| one & two != 0);
        self.ends || self.policies.iter().any(meets)
    }
}

/// The most rules that stand in both in the same order, by their places: a longest increasing subsequence.
fn common(old: &[Identity], new: &[Identity]) -> Vec<(usize, usize)> {
    let places: BTreeMap<&Identity, usize> = old.iter().enumerate().map(|(place, rule)| (rule, place)).collect();
    let both = new.iter().enumerate().filter_map(|(place, rule)| Some((*places.get(rule)?, place)));
    let both: Vec<(usize, usize)> = both.collect();
    // Of the increasing runs of each length the one whose last is least; and before each, what it follows.
    let (mut least, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    for (index, (place, _)) in both.iter().enumerate() {
        let length = least.partition_point(|&known| both[known].0 < *place);
        before.push(length.checked_sub(1).map(|shorter| least[shorter]));
        match least.get_mut(length) {
            Some(known) => *known = index,
            None => least.push(index),
        }
    }
    let runs = std::iter::successors(least.last().copied(), |&index| before[index]);
    runs.map(|index| both[index]).collect()
}

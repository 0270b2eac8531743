//! Counts epochs, and knows when a number may be used again (semantics 17).

use serde::{Deserialize, Serialize};

use crate::ruleset::MAX_EPOCH;

/// The epoch counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16, u16)", into = "(u16, u16, u16)")]
pub struct Epochs {
    /// The last epoch that was given, committed or not; 0 for none.
    current: u16,
    /// The oldest epoch that a mark may still hold; 0 for none.
    floor: u16,
    /// The last epoch that the kernel is known to have committed; 0 for none.
    committed: u16,
}

impl Epochs {
    /// The last epoch that the kernel is known to have committed; 0 for none.
    #[must_use]
    pub fn committed(self) -> u16 {
        self.committed
    }

    /// Whether the next number may still stand in a mark: old marks must be swept first.
    #[must_use]
    pub fn must_sweep(self, max: u16) -> bool {
        self.floor != 0 && self.following(max) == self.floor
    }

    /// Gives the next epoch.
    pub fn give(&mut self, max: u16) -> u16 {
        self.current = self.following(max);
        if self.floor == 0 {
            self.floor = self.current;
        }
        self.current
    }

    /// The kernel committed the last epoch.
    pub fn commit(&mut self) {
        self.committed = self.current;
    }

    /// Every mark was reset. The epoch in force may have been written again since, so it is not given next.
    pub fn swept(&mut self, max: u16) {
        self.floor = if self.committed == 0 { self.current } else { self.committed };
        if self.must_sweep(max) {
            self.current = self.floor;
        }
    }

    fn following(self, max: u16) -> u16 {
        self.current % max.clamp(3, MAX_EPOCH) + 1
    }
}

impl From<Epochs> for (u16, u16, u16) {
    fn from(Epochs { current, floor, committed }: Epochs) -> Self {
        (current, floor, committed)
    }
}

impl TryFrom<(u16, u16, u16)> for Epochs {
    type Error = &'static str;

    /// What no counting leads to is refused: by a wrong count, a number would be given while marks still hold it.
    fn try_from((current, floor, committed): (u16, u16, u16)) -> Result<Self, Self::Error> {
        let begun = (current == 0) == (floor == 0);
        let small = current.max(floor).max(committed) <= MAX_EPOCH;
        let within = match floor <= current {
            true => (floor..=current).contains(&committed),
            false => committed >= floor || committed <= current,
        };
        let sensible = begun && small && (committed == 0 || within);
        sensible.then_some(Self { current, floor, committed }).ok_or("no agent counts epochs like this")
    }
}

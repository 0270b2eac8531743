//! Axes: one file that is run in several placements and families, each combination a trial of its own (semantics 41).

use std::fmt;

use policy::Family;
use serde::{Deserialize, Serialize};

/// Along which axes a scenario is varied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Axes {
    /// On which hosts its VMs stand; empty where the file alone says it.
    pub placement: Vec<Placement>,
    /// Which addresses its endpoints have; empty where the file alone says it.
    pub family: Vec<Families>,
}

/// On which hosts VMs stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Placement {
    /// As the file says.
    AsWritten,
    /// All on the first host.
    OneHost,
    /// Dealt over all hosts, in the order of the file.
    Spread,
    /// As the file says, where each VM is moved before the first step: it begins on the next host.
    AfterMove,
}

/// Which addresses endpoints have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Families {
    /// Those of IPv4 alone.
    V4,
    /// Those of IPv6 alone.
    V6,
    /// All.
    Both,
}

/// One combination; the default one is the file as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// The placement, where that is an axis.
    pub placement: Option<Placement>,
    /// The family, where that is one.
    pub family: Option<Families>,
}

/// How a scenario writes placements.
pub(crate) const PLACEMENTS: [(&str, Placement); 4] = [
    ("as-written", Placement::AsWritten),
    ("one-host", Placement::OneHost),
    ("spread", Placement::Spread),
    ("after-move", Placement::AfterMove),
];
/// How a scenario writes families.
pub(crate) const FAMILIES: [(&str, Families); 3] =
    [("v4", Families::V4), ("v6", Families::V6), ("both", Families::Both)];

impl Axes {
    /// Every combination; without axes the one that is written.
    #[must_use]
    pub fn variants(&self) -> Vec<Variant> {
        let placements = values(&self.placement);
        let with = |placement| values(&self.family).into_iter().map(move |family| Variant { placement, family });
        placements.into_iter().flat_map(with).collect()
    }
}

fn values<T: Copy>(axis: &[T]) -> Vec<Option<T>> {
    if axis.is_empty() { vec![None] } else { axis.iter().copied().map(Some).collect() }
}

impl Variant {
    /// The one family that is left in it.
    #[must_use]
    pub fn only(self) -> Option<Family> {
        match self.family {
            Some(Families::V4) => Some(Family::V4),
            Some(Families::V6) => Some(Family::V6),
            Some(Families::Both) | None => None,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let placement = PLACEMENTS.iter().find(|(_, one)| Some(*one) == self.placement).map(|(word, _)| *word);
        let family = FAMILIES.iter().find(|(_, one)| Some(*one) == self.family).map(|(word, _)| *word);
        let words: Vec<&str> = placement.into_iter().chain(family).collect();
        f.pad(&words.join(" "))
    }
}

//! Flows that were seen lately, with where they are counted: recordings tell the same flow again and again.

use policy::Flow;

use crate::pairs::asked;
use crate::table::{Key, mix};
use crate::tally::Counted;

/// How many flows are remembered.
const REMEMBERED: usize = 1 << 14;

/// A flow for each place, the last that was kept there.
pub(crate) struct Remembered(Vec<Option<(Flow, Counted)>>);

/// What was found of a flow, and its place.
#[derive(Clone, Copy)]
pub(crate) struct Looked {
    pub(crate) place: usize,
    pub(crate) counted: Option<Counted>,
}

impl Remembered {
    pub(crate) fn new() -> Self {
        Self(vec![None; REMEMBERED])
    }

    #[inline]
    pub(crate) fn look(&self, flow: &Flow) -> Looked {
        let place = spread(flow) as usize % REMEMBERED;
        let counted = match self.0.get(place) {
            Some(Some((known, counted))) if known == flow => Some(*counted),
            Some(_) | None => None,
        };
        Looked { place, counted }
    }

    #[inline]
    pub(crate) fn keep(&mut self, place: usize, flow: Flow, counted: Counted) {
        if let Some(free) = self.0.get_mut(place) {
            *free = Some((flow, counted));
        }
    }
}

#[inline]
fn spread(flow: &Flow) -> u64 {
    mix(flow.source.spread(), flow.destination.spread().rotate_left(23) ^ asked(flow.service))
}

//! Fences behind probes, and conversations of several turns on paths that take their time.

use std::collections::{BTreeSet, HashMap};

use lab::Lab;

use super::prober::{Flight, Prober};
use crate::evidence::Fence;

/// Turns of a conversation on a path that takes its time.
const MOST_TURNS: usize = 16;
/// Fences that are sent, one after another, on a path that loses some.
const FENCES_WHERE_SOME_ARE_LOST: usize = 40;

impl Prober {
    /// On paths that take their time each turn of a conversation needs a fence of its own. A probe for which nothing has moved
    /// behind a fence is over.
    pub(super) fn await_turns(&mut self, lab: &Lab, flights: &mut [Flight], delivered: &mut Vec<u64>) {
        for turn in 0..MOST_TURNS {
            let served = self.listeners.moves;
            let goes_on = |flight: &&mut Flight| {
                flight.learned.is_none()
                    && lab.takes_time(&flight.probe.source, &flight.probe.destination)
                    && (turn == 0 || flight.moves() + served > flight.moved)
            };
            let mut open: Vec<&mut Flight> = flights.iter_mut().filter(goes_on).collect();
            if open.is_empty() {
                return;
            }
            open.iter_mut().for_each(|flight| flight.moved = flight.moves() + served);
            self.fence_off(lab, &mut open);
            open.iter_mut().for_each(|flight| self.follow(flight, delivered));
        }
    }

    /// One fence per pair that has undecided probes; where the lab has cut the path, none is awaited.
    pub(super) fn fence_off(&mut self, lab: &Lab, flights: &mut [&mut Flight]) {
        let pairs: BTreeSet<(String, String)> = flights
            .iter()
            .filter(|flight| flight.learned.is_none())
            .map(|flight| (flight.probe.source.clone(), flight.probe.destination.clone()))
            .collect();
        let mut fences = HashMap::new();
        for (source, destination) in pairs {
            let fence = match self.path_is_cut(lab, &source, &destination) {
                true => Fence::Lost,
                false => self.fence(lab, &source, &destination),
            };
            fences.insert((source, destination), fence);
        }
        for flight in flights.iter_mut().filter(|flight| flight.learned.is_none()) {
            let pair = (flight.probe.source.clone(), flight.probe.destination.clone());
            flight.fence = fences.get(&pair).copied().unwrap_or(Fence::Lost);
        }
    }

    /// A fence; where the path loses what it carries, one of several.
    fn fence(&mut self, lab: &Lab, source: &str, destination: &str) -> Fence {
        let tries = if lab.quality(source, destination).loss > 0 { FENCES_WHERE_SOME_ARE_LOST } else { 1 };
        for _ in 0..tries {
            if let Ok(Fence::Returned) = self.fences.run(lab, source, destination) {
                return Fence::Returned;
            }
        }
        Fence::Lost
    }
}

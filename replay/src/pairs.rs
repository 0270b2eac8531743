//! Flows by pair, service and what is said of them: in few bytes, for these are looked up for every flow and lie far apart.

use policy::FlowService;

use crate::judge::Judged;
use crate::party::Party;
use crate::seen::{Recorded, Seen};
use crate::table::{Key, Table, mix};
use crate::tally::{Change, Sums};

/// The most that is told apart of what is said: verdicts of the draft's rules beside those of the policy in force.
const MOST_SAID: usize = 1 << 20;

/// A pair with a service, and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) source: Party,
    pub(crate) destination: Party,
    pub(crate) service: FlowService,
    pub(crate) ruled: Ruled,
}

/// What is said of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ruled {
    pub(crate) now: Judged,
    pub(crate) was: Option<Judged>,
    pub(crate) change: Change,
}

impl Key for Ruled {
    #[inline]
    fn spread(self) -> u64 {
        mix(self.now.bits(), self.was.map_or(u64::MAX, Judged::bits).rotate_left(17))
    }
}

/// A pair with what is said of it by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    source: Party,
    destination: Party,
    service: FlowService,
    ruled: u32,
}

/// A service as a number.
#[inline]
pub(crate) fn asked(service: FlowService) -> u64 {
    let asked = match service {
        FlowService::Tcp(port) | FlowService::Udp(port) => port,
        FlowService::Icmp(kind) | FlowService::Icmpv6(kind) | FlowService::Proto(kind) => kind.into(),
    };
    u64::from(service.protocol().number()) << 16 | u64::from(asked)
}

impl Key for Row {
    #[inline]
    fn spread(self) -> u64 {
        let parties = u64::from(self.source.0) << 32 | u64::from(self.destination.0);
        mix(parties, asked(self.service) << 32 | u64::from(self.ruled))
    }
}

/// Sums over flows of which all are judged alike.
#[derive(Clone, Copy, Debug, Default)]
struct Few {
    flows: u64,
    packets: u64,
    recorded_allowed: u64,
    recorded_intercepted: u64,
}

impl Few {
    fn sums(self, now: Judged) -> Sums {
        let Self { flows, packets, recorded_allowed, recorded_intercepted } = self;
        let (allowed, intercepted) = if now.passes() { (flows, 0) } else { (0, flows) };
        Sums { flows, packets, allowed, intercepted, recorded_allowed, recorded_intercepted }
    }
}

/// A pair that is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    row: Row,
    spread: u64,
}

/// All pairs that were met, up to a bound.
pub(crate) struct Pairs {
    /// What is said, with where the draft's part of it is counted by rule.
    ruled: Table<Ruled, Option<u32>>,
    rows: Table<Row, Few>,
}

impl Pairs {
    pub(crate) fn new(most: usize) -> Self {
        Self { ruled: Table::new(MOST_SAID), rows: Table::new(most) }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them with their sums, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Pair, Sums)> {
        self.rows.iter().filter_map(|(row, few)| {
            let (ruled, _) = *self.ruled.entry(row.ruled as usize)?;
            let Row { source, destination, service, ruled: _ } = *row;
            Some((Pair { source, destination, service, ruled }, few.sums(ruled.now)))
        })
    }

    /// How a pair is looked for, if there is room for what is said of it; and where its flows are counted by rule, which is
    /// asked only where the same was not said before.
    #[inline]
    pub(crate) fn wanted(
        &mut self,
        pair: Pair,
        mut rule: impl FnMut() -> Option<u32>,
    ) -> (Option<Wanted>, Option<u32>) {
        let Pair { source, destination, service, ruled } = pair;
        let Some(place) = self.ruled.place(ruled, &mut rule) else { return (None, rule()) };
        let rule = self.ruled.at(place).and_then(|rule| *rule);
        let row = Row { source, destination, service, ruled: place as u32 };
        (Some(Wanted { row, spread: row.spread() }), rule)
    }

    /// Has the memory that is looked at for a pair come near.
    #[inline]
    pub(crate) fn touch(&self, wanted: &Wanted) {
        self.rows.touch(wanted.spread);
    }

    /// Where a pair is counted; `None` beyond the bound.
    #[inline]
    pub(crate) fn place(&mut self, Wanted { row, spread }: Wanted) -> Option<u32> {
        self.rows.place_at(row, spread, Few::default).map(|place| place as u32)
    }

    /// Counts a flow at a place; whether there is such a place.
    #[inline]
    pub(crate) fn count(&mut self, place: Option<u32>, seen: &Seen) -> bool {
        let Some(few) = place.and_then(|place| self.rows.at(place as usize)) else { return false };
        few.flows += 1;
        few.packets = few.packets.saturating_add(seen.count);
        few.recorded_allowed += u64::from(seen.action == Some(Recorded::Allowed));
        few.recorded_intercepted += u64::from(seen.action == Some(Recorded::Intercepted));
        true
    }
}

//! What is counted of the flows: by rule, and by pair and service; bounded, with what went beyond the bounds counted.

use policy::FlowService;
use serde::Serialize;

use crate::judge::Judged;
use crate::party::Party;
use crate::seen::{Recorded, Seen};
use crate::table::{Key, Table, mix};

/// The most deciders that are told apart: rules of a policy, each at either end.
const MOST_DECIDERS: usize = 1 << 20;

/// How much is told apart at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Pairs with a service and what is said of them.
    pub pairs: usize,
    /// Prefixes of addresses that are no VM's.
    pub prefixes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { pairs: 1 << 17, prefixes: 1 << 12 }
    }
}

/// How a flow is judged beside how it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It passed and would be intercepted.
    NewlyIntercepted,
    /// It was intercepted and would pass.
    NewlyAllowed,
    /// The same for it, by another rule, at another end or with another answer.
    Otherwise,
    /// No change.
    Same,
}

/// Sums over flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Flows.
    pub flows: u64,
    /// What they stand for: packets or records.
    pub packets: u64,
    /// Flows that would pass.
    pub allowed: u64,
    /// Flows that would be intercepted.
    pub intercepted: u64,
    /// Flows that are recorded as passed.
    pub recorded_allowed: u64,
    /// Flows that are recorded as intercepted.
    pub recorded_intercepted: u64,
}

impl Sums {
    fn add(&mut self, seen: &Seen, now: Judged) {
        self.flows += 1;
        self.packets = self.packets.saturating_add(seen.count);
        if now.passes() {
            self.allowed += 1;
        } else {
            self.intercepted += 1;
        }
        match seen.action {
            Some(Recorded::Allowed) => self.recorded_allowed += 1,
            Some(Recorded::Intercepted) => self.recorded_intercepted += 1,
            None => {}
        }
    }
}

/// A pair with a service, and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) source: Party,
    pub(crate) destination: Party,
    pub(crate) service: FlowService,
    pub(crate) now: Judged,
    pub(crate) was: Option<Judged>,
    pub(crate) change: Change,
}

impl Key for Pair {
    fn spread(self) -> u64 {
        let asked = match self.service {
            FlowService::Tcp(port) | FlowService::Udp(port) => port,
            FlowService::Icmp(kind) | FlowService::Icmpv6(kind) | FlowService::Proto(kind) => kind.into(),
        };
        let service = u64::from(self.service.protocol().number()) << 16 | u64::from(asked);
        let parties = u64::from(self.source.0) << 32 | u64::from(self.destination.0);
        let was = self.was.map_or(u64::MAX, Judged::bits);
        mix(parties, service << 32 ^ self.now.bits() ^ was.rotate_left(17))
    }
}

impl Key for Judged {
    fn spread(self) -> u64 {
        mix(self.bits(), 1)
    }
}

/// All that is counted.
pub(crate) struct Tally {
    pub(crate) all: Sums,
    /// Flows by their change, in the order of [`Change`].
    pub(crate) changes: [u64; 4],
    /// Recorded as passed and would be intercepted; recorded as intercepted and would pass.
    pub(crate) unlike_recorded: [u64; 2],
    /// The earliest and the latest instant that a recording says.
    pub(crate) span: Option<(i64, i64)>,
    pub(crate) rules: Table<Judged, Sums>,
    pub(crate) pairs: Table<Pair, Sums>,
    /// What had no room among the pairs.
    pub(crate) beyond: Sums,
}

impl Tally {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            all: Sums::default(),
            changes: [0; 4],
            unlike_recorded: [0; 2],
            span: None,
            rules: Table::new(MOST_DECIDERS),
            pairs: Table::new(bounds.pairs),
            beyond: Sums::default(),
        }
    }

    pub(crate) fn see(&mut self, seen: &Seen, pair: Pair) {
        let now = pair.now;
        self.all.add(seen, now);
        if let Some(count) = self.changes.get_mut(pair.change as usize) {
            *count += 1;
        }
        match (seen.action, now.passes()) {
            (Some(Recorded::Allowed), false) => self.unlike_recorded[0] += 1,
            (Some(Recorded::Intercepted), true) => self.unlike_recorded[1] += 1,
            (Some(Recorded::Allowed), true) | (Some(Recorded::Intercepted), false) | (None, _) => {}
        }
        if let Some(when) = seen.when {
            let (first, last) = self.span.unwrap_or((when, when));
            self.span = Some((first.min(when), last.max(when)));
        }
        if let Some(sums) = self.rules.entry(now, Sums::default) {
            sums.add(seen, now);
        }
        match self.pairs.entry(pair, Sums::default) {
            Some(sums) => sums.add(seen, now),
            None => self.beyond.add(seen, now),
        }
    }
}

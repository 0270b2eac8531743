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

/// A service as a number.
pub(crate) fn asked(service: FlowService) -> u64 {
    let asked = match service {
        FlowService::Tcp(port) | FlowService::Udp(port) => port,
        FlowService::Icmp(kind) | FlowService::Icmpv6(kind) | FlowService::Proto(kind) => kind.into(),
    };
    u64::from(service.protocol().number()) << 16 | u64::from(asked)
}

impl Key for Pair {
    fn spread(self) -> u64 {
        let parties = u64::from(self.source.0) << 32 | u64::from(self.destination.0);
        let was = self.was.map_or(u64::MAX, Judged::bits);
        mix(parties, asked(self.service) << 32 ^ self.now.bits() ^ was.rotate_left(17))
    }
}

impl Key for Judged {
    fn spread(self) -> u64 {
        mix(self.bits(), 1)
    }
}

/// How a flow is judged, and where it is counted.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    now: Judged,
    change: Change,
    rule: Option<usize>,
    /// `None` beyond the bound.
    pair: Option<usize>,
    /// How many of its ends are shown as others.
    others: u64,
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
    /// How many ends had no prefix of their own.
    pub(crate) crowded: u64,
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
            crowded: 0,
        }
    }

    /// Where flows that are judged so are counted.
    pub(crate) fn counted(&mut self, pair: Pair) -> Counted {
        Counted {
            now: pair.now,
            change: pair.change,
            rule: self.rules.place(pair.now, Sums::default),
            pair: self.pairs.place(pair, Sums::default),
            others: [pair.source, pair.destination].into_iter().filter(|party| party.is_others()).count() as u64,
        }
    }

    pub(crate) fn see(&mut self, seen: &Seen, counted: &Counted) {
        let now = counted.now;
        self.all.add(seen, now);
        self.crowded += counted.others;
        if let Some(count) = self.changes.get_mut(counted.change as usize) {
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
        if let Some(sums) = counted.rule.and_then(|place| self.rules.at(place)) {
            sums.add(seen, now);
        }
        match counted.pair.and_then(|place| self.pairs.at(place)) {
            Some(sums) => sums.add(seen, now),
            None => self.beyond.add(seen, now),
        }
    }
}

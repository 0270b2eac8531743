//! What is counted of the flows: by rule, and by pair and service; bounded, with what went beyond the bounds counted.

use serde::Serialize;

use crate::judge::Judged;
use crate::pairs::{Pair, Pairs, Wanted};
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
    /// Adds a flow; without branches, for what they would depend on is different from flow to flow.
    #[inline]
    fn add(&mut self, seen: &Seen, passes: bool) {
        self.flows += 1;
        self.packets = self.packets.saturating_add(seen.count);
        self.allowed += u64::from(passes);
        self.intercepted += u64::from(!passes);
        self.recorded_allowed += u64::from(seen.action == Some(Recorded::Allowed));
        self.recorded_intercepted += u64::from(seen.action == Some(Recorded::Intercepted));
    }
}

impl Key for Judged {
    #[inline]
    fn spread(self) -> u64 {
        mix(self.bits(), 1)
    }
}

/// How a flow is judged, and where it is counted.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    passes: bool,
    change: Change,
    /// How many of its ends are shown as others.
    others: u8,
    rule: Option<u32>,
    /// `None` beyond the bound.
    pair: Option<u32>,
}

/// The same while its pair is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    counted: Counted,
    wanted: Option<Wanted>,
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
    pub(crate) pairs: Pairs,
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
            pairs: Pairs::new(bounds.pairs),
            beyond: Sums::default(),
            crowded: 0,
        }
    }

    /// Begins to look where flows of a pair are counted.
    #[inline]
    pub(crate) fn ask(&mut self, pair: Pair) -> Asked {
        let now = pair.ruled.now;
        let rule = || self.rules.place(now, Sums::default).map(|place| place as u32);
        let (wanted, rule) = self.pairs.wanted(pair, rule);
        let others = u8::from(pair.source.is_others()) + u8::from(pair.destination.is_others());
        Asked { counted: Counted { passes: now.passes(), change: pair.ruled.change, others, rule, pair: None }, wanted }
    }

    /// Has the memory that is looked at next come near.
    #[inline]
    pub(crate) fn touch(&self, asked: &Asked) {
        if let Some(wanted) = &asked.wanted {
            self.pairs.touch(wanted);
        }
    }

    /// Where they are counted.
    #[inline]
    pub(crate) fn counted(&mut self, asked: Asked) -> Counted {
        Counted { pair: asked.wanted.and_then(|wanted| self.pairs.place(wanted)), ..asked.counted }
    }

    #[inline]
    pub(crate) fn see(&mut self, seen: &Seen, counted: &Counted) {
        let passes = counted.passes;
        self.all.add(seen, passes);
        self.crowded += u64::from(counted.others);
        if let Some(count) = self.changes.get_mut(counted.change as usize) {
            *count += 1;
        }
        self.unlike_recorded[0] += u64::from(seen.action == Some(Recorded::Allowed) && !passes);
        self.unlike_recorded[1] += u64::from(seen.action == Some(Recorded::Intercepted) && passes);
        if let Some(when) = seen.when {
            let (first, last) = self.span.unwrap_or((when, when));
            self.span = Some((first.min(when), last.max(when)));
        }
        if let Some(sums) = counted.rule.and_then(|place| self.rules.at(place as usize)) {
            sums.add(seen, passes);
        }
        if !self.pairs.count(counted.pair, seen) {
            self.beyond.add(seen, passes);
        }
    }
}

//! Losses that wait for room to be said, by direction and rule.

use std::collections::BTreeMap;

use wire::{Direction, Kind, Record};

use crate::spool::notice;

/// Rules whose losses are told apart; those of all others are told together.
const MOST_RULES: usize = 64;

/// What is lost and not said.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    by_rule: BTreeMap<(Direction, String), Loss>,
    /// Packets whose records were ever lost.
    pub(crate) ever: u64,
}

#[derive(Clone, Copy, Debug)]
struct Loss {
    packets: u64,
    reason: &'static str,
    /// When, by the agent's own clock, in microseconds.
    first: u64,
    last: u64,
}

impl Losses {
    /// A record is lost.
    pub(crate) fn add(&mut self, record: &Record, reason: &'static str) {
        self.ever = self.ever.saturating_add(record.packets);
        let mut key = (record.direction, record.rule.clone());
        if self.by_rule.len() >= MOST_RULES && !self.by_rule.contains_key(&key) {
            key.1.clear();
        }
        let fresh = Loss { packets: 0, reason, first: record.stamp, last: record.stamp };
        let loss = self.by_rule.entry(key).or_insert(fresh);
        loss.packets = loss.packets.saturating_add(record.packets);
        loss.last = loss.last.max(record.stamp);
    }

    /// Whether all is said.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_rule.is_empty()
    }

    /// The record that says the first of them.
    pub(crate) fn first(&self) -> Option<Record> {
        self.records().next()
    }

    /// The first of them is said.
    pub(crate) fn said(&mut self) {
        self.by_rule.pop_first();
    }

    /// The records that will say them: how many packets', and in which span of the agent's own clock.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let seconds = |stamp: u64| format!("{}.{:03}", stamp / 1_000_000, stamp / 1000 % 1000);
        self.by_rule.iter().map(move |((direction, rule), Loss { packets, reason, first, last })| {
            let span = format!("from second {} to {} of the agent's life", seconds(*first), seconds(*last));
            let gap = notice(Kind::Gap, rule, *packets, format!("{reason}, {span}"));
            Record { direction: *direction, stamp: *last, ..gap }
        })
    }
}

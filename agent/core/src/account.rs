//! The account of interceptions: by direction and rule, what the kernel counted and what was told of it. What it counted
//! beyond, its log did not tell: more came in a second than it logs, its queue was full, or no agent listened.

use std::collections::BTreeMap;

use policy::{End, Verdict};
use serde::{Deserialize, Serialize};
use wire::{Direction, Kind, Record};

use crate::history::fixed;
use crate::outcome::{Numbering, Outcome};
use crate::ruleset::{Builtin, Word};
use crate::spool::notice;

/// One counter of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The direction whose packets it counts.
    pub direction: Direction,
    /// The outcome that it counts.
    pub word: Word,
    /// Packets since it was made.
    pub packets: u64,
}

/// What was counted and what was told; it goes on from one life of the agent to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    inbound: Ledger,
    outbound: Ledger,
    /// Something was logged since the counters were read, or may have been.
    #[serde(skip)]
    stirred: bool,
}

/// One direction's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Ledger {
    /// What each counter stood at when it was read last, by its word.
    seen: BTreeMap<u32, u64>,
    rules: BTreeMap<String, Sum>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    verdict: Verdict,
    /// Both count from any number: the difference alone matters.
    counted: i64,
    told: i64,
    /// What was counted at the reading before: by now the log has handed over all that it tells of that.
    #[serde(skip)]
    due: i64,
}

impl Account {
    /// Goes on with what a former life wrote down; `behind` are the records that it made after that.
    pub(crate) fn resume<'r>(&mut self, behind: impl Iterator<Item = &'r Record>) {
        behind.for_each(|record| self.tell(record));
        self.stirred = true;
    }

    /// Counters may have risen.
    pub(crate) fn stir(&mut self) {
        self.stirred = true;
    }

    /// Whether the counters have something to say.
    pub(crate) fn is_open(&self) -> bool {
        let ledgers = [&self.inbound, &self.outbound];
        self.stirred || ledgers.into_iter().flat_map(|ledger| ledger.rules.values()).any(|sum| sum.counted != sum.told)
    }

    /// A record tells of packets.
    pub(crate) fn tell(&mut self, record: &Record) {
        if is_of_packets(record) {
            self.ledger(record.direction).told(record, signed(record.packets));
        }
    }

    /// A record that was reckoned as told is not yet.
    pub(crate) fn take_back(&mut self, record: &Record) {
        self.ledger(record.direction).told(record, -signed(record.packets));
    }

    /// Takes in a reading of all counters; gives a record for each rule of which more was counted, up to the reading
    /// before, than was told since. Between two readings the log must have been read to its end.
    pub(crate) fn read(&mut self, counts: &[Count], numbering: &Numbering) -> Vec<Record> {
        let mut seen = [BTreeMap::new(), BTreeMap::new()];
        // Most have counted nothing, and need not be remembered.
        for Count { direction, word, packets } in counts.iter().filter(|count| count.packets > 0) {
            let Some(outcome) = told_of(*direction, *word, numbering) else { continue };
            let ledger = self.ledger(*direction);
            let before = ledger.seen.get(&word.0).copied().unwrap_or(0);
            seen[*direction as usize].insert(word.0, *packets);
            // A counter that fell was made anew, and counts from nothing.
            let rise = if *packets >= before { packets - before } else { *packets };
            if rise > 0 {
                ledger.change(&outcome.rule, outcome.verdict, |sum| sum.counted += signed(rise));
            }
        }
        self.stirred = false;
        [self.inbound.seen, self.outbound.seen] = seen;
        let mut missing = self.inbound.close(Direction::In);
        missing.extend(self.outbound.close(Direction::Out));
        missing
    }

    fn ledger(&mut self, direction: Direction) -> &mut Ledger {
        match direction {
            Direction::In => &mut self.inbound,
            Direction::Out => &mut self.outbound,
        }
    }
}

impl Ledger {
    /// Changes a rule's sum. In a storm the rule is known: its name is not copied for each record.
    fn change(&mut self, rule: &str, verdict: Verdict, change: impl FnOnce(&mut Sum)) {
        match self.rules.get_mut(rule) {
            Some(sum) => change(sum),
            None => {
                let fresh = Sum { verdict, counted: 0, told: 0, due: 0 };
                change(self.rules.entry(rule.to_owned()).or_insert(fresh));
            }
        }
    }

    /// More, or less, was told.
    fn told(&mut self, record: &Record, packets: i64) {
        self.change(&record.rule, record.verdict, |sum| sum.told += packets);
    }

    /// What is due and was not told; it counts as told from here on.
    fn close(&mut self, direction: Direction) -> Vec<Record> {
        let mut missing = Vec::new();
        for (rule, sum) in &mut self.rules {
            let missing_here = (sum.due - sum.told).max(0);
            if let Ok(packets @ 1..) = u64::try_from(missing_here) {
                let verdict = sum.verdict;
                let end = end_of(direction);
                missing.push(Record {
                    direction,
                    end,
                    verdict,
                    ..notice(Kind::Suppressed, rule, packets, String::new())
                });
            }
            sum.told += missing_here;
            // At rest, more was told than counted where a counter went with its table.
            if sum.due == sum.counted {
                sum.told = sum.told.min(sum.counted);
            }
            sum.due = sum.counted;
        }
        // Only differences count.
        self.rules.retain(|_, sum| sum.due != sum.told);
        missing
    }
}

/// Whether a record tells of packets that an outcome's counter counts.
fn is_of_packets(record: &Record) -> bool {
    match record.kind {
        Kind::Allow | Kind::Deny | Kind::Cut | Kind::Invalid | Kind::Aggregated | Kind::Suppressed => true,
        Kind::Barrier | Kind::Gap | Kind::Tamper | Kind::Alert => false,
    }
}

/// The outcome of a counter, where each of its packets is to be told of.
fn told_of(direction: Direction, word: Word, numbering: &Numbering) -> Option<Outcome> {
    match fixed(word) {
        Some(Builtin::Barrier | Builtin::Center) => None,
        Some(builtin) => Some(Outcome::of_fixed(builtin, end_of(direction))),
        None => numbering.outcome(word.number()).filter(|one| one.log || one.verdict != Verdict::Allow).cloned(),
    }
}

/// A count of packets, which never comes near the end of its range.
fn signed(packets: u64) -> i64 {
    i64::try_from(packets).unwrap_or(i64::MAX)
}

fn end_of(direction: Direction) -> End {
    match direction {
        Direction::In => End::Destination,
        Direction::Out => End::Source,
    }
}

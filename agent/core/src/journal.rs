//! All that is told to the center of packets: records one by one, storms as one, and what only the kernel's counters know.

use wire::{Kind, Record};

use crate::account::{Account, Count};
use crate::outcome::Numbering;
use crate::spool::{Former, Limits, Spool, SpoolChange, Tail};
use crate::storm::Storms;

/// How often counters are read where nothing is logged, in microseconds.
const AT_REST: u64 = 10_000_000;

/// The records on their way to the center, and the account of them.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) spool: Spool,
    account: Account,
    storms: Storms,
    /// Messages that the kernel's log had no room for since the account was last settled.
    overrun: u64,
    /// How many readings of the counters it takes until they tell of this life alone.
    fresh: u8,
    /// When the counters were read last, in microseconds.
    settled: u64,
}

impl Journal {
    /// Goes on where former lives ended.
    pub(crate) fn new(vm: String, boot: String, limits: Limits, former: Former) -> Self {
        let Tail { boot: last, sequence, account, .. } = &former.tail;
        let mut account = account.clone();
        let is_behind = |record: &&Record| record.key.boot == *last && record.key.sequence > *sequence;
        account.resume(former.records.iter().filter(is_behind));
        let spool = Spool::new(vm, boot, limits, former);
        Self { spool, account, storms: Storms::default(), overrun: 0, fresh: 2, settled: 0 }
    }

    /// A record of packets: told, or counted into a storm. A sentinel's is told behind all that came before it.
    pub(crate) fn see(&mut self, record: Record) {
        self.account.stir();
        if record.kind == Kind::Barrier {
            self.flush();
            self.spool.push(record);
            return;
        }
        self.account.tell(&record);
        if self.storms.tells(&record) {
            self.spool.push(record);
        }
    }

    /// The log did not tell of this many packets: the counters will.
    pub(crate) fn overrun(&mut self, messages: u64) {
        self.overrun = self.overrun.saturating_add(messages);
        self.account.stir();
    }

    /// Tells of the storms that are over.
    pub(crate) fn tick(&mut self, stamp: u64) {
        let over = self.storms.due(stamp);
        over.into_iter().for_each(|record| self.spool.push(record));
    }

    /// Tells of all storms as far as they have come.
    pub(crate) fn flush(&mut self) {
        let so_far = self.storms.flush();
        so_far.into_iter().for_each(|record| self.spool.push(record));
    }

    /// When the next storm may be over, by the agent's own clock in milliseconds.
    pub(crate) fn next(&self) -> Option<u64> {
        self.storms.next().map(|stamp| stamp.div_ceil(1000))
    }

    /// Whether the kernel's counters are to be read: when something was logged, and else now and then, for a log that is
    /// silent may be broken.
    pub(crate) fn wants_counts(&self, stamp: u64) -> bool {
        self.account.is_open() || stamp >= self.settled + AT_REST
    }

    /// Takes in the kernel's counters, read when the log had been read to its end.
    pub(crate) fn settle(&mut self, counts: &[Count], numbering: &Numbering, stamp: u64) {
        let missing = self.account.read(counts, numbering);
        let detail = if missing.is_empty() { String::new() } else { self.why() };
        self.fresh = self.fresh.saturating_sub(1);
        self.settled = stamp;
        for record in missing {
            self.spool.push(Record { detail: detail.clone(), stamp, ..record });
        }
        self.spool.renew_tail();
    }

    /// Why the log did not tell.
    fn why(&mut self) -> String {
        let mut why = if self.fresh > 0 { "while no agent listened, or " } else { "" }.to_owned();
        why.push_str("more than the kernel logs a second");
        let overrun = std::mem::take(&mut self.overrun);
        if overrun > 0 {
            why.push_str(&format!(", and {overrun} messages of all rules that its log had no room for"));
        }
        why
    }

    /// What is to be done on disk, if anything changed.
    pub(crate) fn poll_change(&mut self) -> Option<SpoolChange> {
        let mut change = self.spool.poll_change()?;
        if let Some(tail) = &mut change.tail {
            tail.account = self.account.clone();
            self.storms.untold().for_each(|record| tail.account.take_back(&record));
        }
        Some(change)
    }
}

//! The bounded queue of records that the center has not stored yet, and what of it is to be kept on disk. What does not
//! fit is counted, and said.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use policy::{End, Family, Protocol, Verdict};
use serde::{Deserialize, Serialize};
use wire::{Direction, FlowEnd, Kind, Record, RecordKey};

use crate::account::Account;
use crate::losses::Losses;

/// The most records that wait for the center.
pub const CAPACITY: usize = 65_536;
/// The most bytes of their form on the wire.
pub const CAPACITY_BYTES: usize = 32 * 1024 * 1024;
/// The most records of one message.
const BATCH: usize = 500;
/// Why records of a former life are missing between others.
const HOLE: &str = "the disk did not keep them";

/// How much a spool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records.
    pub records: usize,
    /// Bytes of their form on the wire.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: CAPACITY, bytes: CAPACITY_BYTES }
    }
}

/// What is to be done to the records on disk, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolChange {
    /// Records to be written behind the others, each in its form on the wire.
    pub append: Vec<Vec<u8>>,
    /// Where it changed: what stands behind the records. It has a place of its own, where the next takes the place of
    /// the one before.
    pub tail: Option<Tail>,
    /// So many of the oldest written records are stored by the center.
    pub forget: usize,
}

/// What is kept behind the records, as it was when the last of them was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The life that made them.
    pub boot: String,
    /// The last sequence number of that life. What it made behind that, is told beyond this account.
    pub sequence: u64,
    /// What was lost and is not said yet, as the records that will say it.
    pub lost: Vec<Record>,
    /// What was counted and told.
    pub account: Account,
}

/// What former lives left.
#[derive(Clone, Debug, Default)]
pub struct Former {
    /// Their records, oldest first. Any of them may stand there twice, or be stored by the center already, which knows
    /// each by its key.
    pub records: Vec<Record>,
    /// What stood behind them.
    pub tail: Tail,
}

/// Records in order: those that former lives left, then those of this one.
#[derive(Debug)]
pub struct Spool {
    vm: String,
    boot: String,
    limits: Limits,
    /// The waiting records, each with its bytes.
    waiting: VecDeque<(Record, usize)>,
    bytes: usize,
    /// How many of the waiting ones are on their way.
    sent: usize,
    /// How many of the waiting ones are on disk.
    kept: usize,
    /// The last sequence number that was given.
    sequence: u64,
    losses: Losses,
    /// The tail on disk is not the newest.
    stale: bool,
    /// So many written records are stored.
    done: usize,
}

impl Spool {
    /// The spool of one life of the agent, with what others left.
    #[must_use]
    pub fn new(vm: String, boot: String, limits: Limits, former: Former) -> Self {
        let mut spool = Self {
            vm,
            boot,
            limits,
            waiting: VecDeque::new(),
            bytes: 0,
            sent: 0,
            kept: 0,
            sequence: 0,
            losses: Losses::default(),
            // A life that wrote none would be taken for a part of the one before.
            stale: true,
            done: 0,
        };
        let Former { mut records, tail } = former;
        records.extend(tail.lost);
        spool.recover(records);
        spool.leave_strangers();
        spool
    }

    /// The life of the state folder under which these records are counted.
    #[must_use]
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// How many records wait for the center.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many records this life made.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.sequence
    }

    /// How many packets' records were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.losses.ever
    }

    /// The VM as the center knows it. Records made before it was known get their name as well: the center takes none
    /// without.
    pub fn name(&mut self, vm: &str) {
        vm.clone_into(&mut self.vm);
        self.leave_strangers();
    }

    /// Takes a record; its key is given here.
    pub fn push(&mut self, record: Record) {
        self.declare();
        let left = if self.losses.is_empty() { self.append(record) } else { Some(record) };
        if let Some(record) = left {
            self.losses.add(&record, "the queue was full");
            self.stale = true;
        }
    }

    /// Records of this many packets are lost. `stamp` is the agent's own clock in microseconds.
    pub fn lose(&mut self, packets: u64, reason: &'static str, stamp: u64) {
        self.losses.add(&Record { stamp, ..notice(Kind::Gap, "", packets, String::new()) }, reason);
        self.stale = true;
        self.declare();
    }

    /// Everything of a boot up to this sequence number is stored.
    pub fn stored(&mut self, boot: &str, up_to: u64) {
        let done = |key: &RecordKey| key.boot == boot && key.sequence <= up_to;
        while self.waiting.front().is_some_and(|(record, _)| done(&record.key)) {
            let Some((_, size)) = self.waiting.pop_front() else { break };
            self.bytes -= size;
            self.sent = self.sent.saturating_sub(1);
            if self.kept > 0 {
                self.kept -= 1;
                self.done += 1;
            }
        }
        self.declare();
    }

    /// What was on its way may not have arrived.
    pub fn rewind(&mut self) {
        self.sent = 0;
    }

    /// The next records to send: of one boot, so that the center's answer tells of all of them.
    pub fn next_batch(&mut self) -> Option<Vec<Record>> {
        let boot = self.waiting.get(self.sent)?.0.key.boot.clone();
        let next = self.waiting.iter().skip(self.sent).map(|(record, _)| record);
        let batch: Vec<Record> = next.take_while(|record| record.key.boot == boot).take(BATCH).cloned().collect();
        self.sent += batch.len();
        Some(batch)
    }

    /// What stands behind the records changed.
    pub(crate) fn renew_tail(&mut self) {
        self.stale = true;
    }

    /// What is to be done on disk, if anything changed. Records are written before they are sent. What is forgotten is
    /// beyond no tail.
    pub fn poll_change(&mut self) -> Option<SpoolChange> {
        let append: Vec<_> = self.waiting.iter().skip(self.kept).map(|(record, _)| record.encoded()).collect();
        self.kept = self.waiting.len();
        let forget = std::mem::take(&mut self.done);
        let tail = (std::mem::take(&mut self.stale) || forget > 0).then(|| self.tail());
        let change = SpoolChange { append, tail, forget };
        (change != SpoolChange::default()).then_some(change)
    }

    fn tail(&self) -> Tail {
        let lost = (self.sequence + 1..).zip(self.losses.records());
        let lost = lost.map(|(sequence, record)| self.keyed(record, sequence)).collect();
        Tail { boot: self.boot.clone(), sequence: self.sequence, lost, account: Account::default() }
    }

    /// Takes what former lives left. A hole between two records of one life is one that the disk did not keep: it is
    /// said in its place.
    fn recover(&mut self, former: Vec<Record>) {
        let mut dropped = 0;
        for record in former {
            let last = self.waiting.iter().rev().find(|(known, _)| known.key.boot == record.key.boot);
            let next = last.map(|(known, _)| following(known));
            if next.is_some_and(|next| record.key.sequence < next) {
                continue;
            }
            if let Some(next) = next.filter(|next| *next < record.key.sequence) {
                let hole = notice(Kind::Gap, "", record.key.sequence - next, HOLE.to_owned());
                self.losses.ever = self.losses.ever.saturating_add(hole.packets);
                let key = RecordKey { sequence: next, ..record.key.clone() };
                self.put(Record { key, stamp: record.stamp, ..hole });
            }
            // What says a loss is never lost: there is less of it than of records.
            if record.kind == Kind::Gap {
                self.put(record);
            } else {
                dropped += u64::from(self.take(record).is_some());
            }
        }
        if dropped > 0 {
            self.lose(dropped, "the queue was full", 0);
        }
    }

    /// Names what has no name, and gives up what was made under another: the center would refuse the whole session.
    fn leave_strangers(&mut self) {
        if self.vm.is_empty() {
            return;
        }
        let before = self.waiting.len();
        let vm = self.vm.clone();
        self.waiting.retain(|(record, _)| record.key.vm.is_empty() || record.key.vm == vm);
        if self.waiting.len() < before {
            self.bytes = self.waiting.iter().map(|(_, size)| size).sum();
            // All that is on disk is written anew.
            self.done += self.kept;
            self.kept = 0;
            self.sent = 0;
            self.lose((before - self.waiting.len()) as u64, "they were made under another name", 0);
        }
        for (record, size) in self.waiting.iter_mut().filter(|(record, _)| record.key.vm.is_empty()) {
            self.vm.clone_into(&mut record.key.vm);
            let named = record.encoded().len();
            self.bytes = self.bytes - *size + named;
            *size = named;
        }
    }

    /// Says what was lost, as soon as there is room: more than a little, or each loss at the brim would be a record.
    fn declare(&mut self) {
        let limit = self.limits.bytes - self.limits.bytes / 8;
        while self.waiting.len() < self.limits.records && self.bytes <= limit {
            let Some(record) = self.losses.first() else { return };
            if self.append(record).is_some() {
                return;
            }
            self.losses.said();
            self.stale = true;
        }
    }

    /// Takes a record of this life, or gives it back where there is no room.
    fn append(&mut self, record: Record) -> Option<Record> {
        let left = self.take(self.keyed(record, self.sequence + 1));
        self.sequence += u64::from(left.is_none());
        left
    }

    fn keyed(&self, mut record: Record, sequence: u64) -> Record {
        record.key = RecordKey { vm: self.vm.clone(), boot: self.boot.clone(), sequence };
        record
    }

    /// Takes a record that has its key, or gives it back where there is no room.
    fn take(&mut self, record: Record) -> Option<Record> {
        let size = record.encoded().len();
        if self.waiting.len() >= self.limits.records || self.bytes + size > self.limits.bytes {
            return Some(record);
        }
        self.put(record);
        None
    }

    fn put(&mut self, record: Record) {
        let size = record.encoded().len();
        self.bytes += size;
        self.waiting.push_back((record, size));
    }
}

/// The sequence number behind a record; one that says a hole stands for all the numbers in it.
fn following(record: &Record) -> u64 {
    let hole = record.kind == Kind::Gap && record.detail.starts_with(HOLE);
    record.key.sequence.saturating_add(if hole { record.packets } else { 1 })
}

/// A record of no flow.
pub(crate) fn notice(kind: Kind, rule: &str, packets: u64, detail: String) -> Record {
    let nobody = || FlowEnd { vm: None, address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };
    Record {
        key: RecordKey { vm: String::new(), boot: String::new(), sequence: 0 },
        kind,
        direction: Direction::In,
        source: nobody(),
        destination: nobody(),
        family: Family::V4,
        protocol: Protocol::Other(0),
        icmp_type: 0,
        icmp_id: 0,
        tcp_sequence: None,
        payload: Vec::new(),
        verdict: Verdict::Deny,
        rule: rule.to_owned(),
        admitted_by: None,
        end: End::Destination,
        would: None,
        monitor: false,
        generation_first: 0,
        generation_last: 0,
        packets,
        detail,
        stamp: 0,
    }
}

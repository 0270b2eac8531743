//! The bounded queue of records that the center has not stored yet. What does not fit is counted, and said.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use policy::{End, Family, Protocol, Verdict};
use wire::{Direction, FlowEnd, Kind, Record, RecordKey};

/// The most records that wait for the center.
pub const CAPACITY: usize = 65_536;
/// The most records of one message.
const BATCH: usize = 500;

/// Records of one boot, in order.
#[derive(Debug)]
pub(crate) struct Spool {
    vm: String,
    boot: String,
    waiting: VecDeque<Record>,
    /// How many of the waiting ones are on their way.
    sent: usize,
    /// The last sequence number that was given.
    sequence: u64,
    /// Packets whose records are lost, and why; not yet said.
    lost: Option<(u64, &'static str)>,
    /// All records that were lost.
    lost_ever: u64,
}

impl Spool {
    pub(crate) fn new(vm: String, boot: String) -> Self {
        Self { vm, boot, waiting: VecDeque::new(), sent: 0, sequence: 0, lost: None, lost_ever: 0 }
    }

    /// The life of the state folder under which these records are counted.
    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    /// How many records wait for the center.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many records were made.
    pub(crate) fn made(&self) -> u64 {
        self.sequence
    }

    /// How many records were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_ever
    }

    /// The VM as the center knows it. Records made before it was known get their name as well: the center takes none
    /// without.
    pub(crate) fn name(&mut self, vm: &str) {
        vm.clone_into(&mut self.vm);
        for record in self.waiting.iter_mut().filter(|record| record.key.vm.is_empty()) {
            vm.clone_into(&mut record.key.vm);
        }
    }

    /// Takes a record; its key is given here.
    pub(crate) fn push(&mut self, record: Record) {
        self.declare();
        if self.waiting.len() >= CAPACITY {
            self.lose(1, "the queue was full");
            return;
        }
        self.append(record);
    }

    /// Records of this many packets are lost.
    pub(crate) fn lose(&mut self, packets: u64, reason: &'static str) {
        self.lost_ever += packets;
        let before = self.lost.map_or(0, |(before, _)| before);
        self.lost = Some((before + packets, reason));
        self.declare();
    }

    /// Everything up to this sequence number is stored.
    pub(crate) fn stored(&mut self, boot: &str, up_to: u64) {
        if boot != self.boot {
            return;
        }
        while self.waiting.front().is_some_and(|record| record.key.sequence <= up_to) {
            self.waiting.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
        self.declare();
    }

    /// What was on its way may not have arrived.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// The next records to send.
    pub(crate) fn next_batch(&mut self) -> Option<Vec<Record>> {
        let batch: Vec<Record> = self.waiting.iter().skip(self.sent).take(BATCH).cloned().collect();
        self.sent += batch.len();
        (!batch.is_empty()).then_some(batch)
    }

    /// Says what was lost, as soon as there is room to say it.
    fn declare(&mut self) {
        let Some((packets, reason)) = self.lost else { return };
        if self.waiting.len() < CAPACITY {
            self.lost = None;
            self.append(notice(Kind::Gap, "", packets, reason.to_owned()));
        }
    }

    fn append(&mut self, mut record: Record) {
        self.sequence += 1;
        record.key = RecordKey { vm: self.vm.clone(), boot: self.boot.clone(), sequence: self.sequence };
        self.waiting.push_back(record);
    }
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

//! Turns the kernel's log messages into records.

use std::collections::VecDeque;

use policy::{End, Family, Protocol};
use wire::{Direction, FlowEnd, Kind, Record, RecordKey};

use crate::event::{LogEvent, LogKind};
use crate::history::{self, Era, History};
use crate::outcome::{Numbering, Outcome};
use crate::packet::{self, Packet};
use crate::ruleset::{Builtin, Word};

/// How many first halves of a cut may wait for their second one.
const WAITING: usize = 1024;
/// What a sentinel's payload begins with; its nonce follows.
const SENTINEL: &[u8] = b"EWB1";

/// Where the epoch stands in a mark.
const EPOCH_SHIFT: u32 = 20;
const EPOCH_BITS: u32 = 0x7ff;

/// Reads log messages.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// First halves of cuts: the packet, and what had admitted its flow.
    cuts: VecDeque<(Packet, Option<String>)>,
}

/// What a log message tells.
pub(crate) enum Told {
    /// A record, without its key.
    Record(Box<Record>),
    /// What a record would say that nobody asks for: a detector counts it.
    Seen(Box<Record>),
    /// Nothing yet.
    Half,
    /// It cannot be read.
    Unreadable,
}

impl Reader {
    /// Reads one message. `stamp` is the agent's own clock in microseconds.
    pub(crate) fn read(&mut self, event: &LogEvent, history: &History, living: &Numbering, stamp: u64) -> Told {
        let (epoch, word) = split(event.mark);
        let Some(packet) = packet::read(&event.packet) else { return Told::Unreadable };
        let known = outcome(event, epoch, word, history, living);
        if event.kind == LogKind::Was {
            self.remember(packet, known.map(|outcome| outcome.rule));
            return Told::Half;
        }
        let (Some(outcome), Some(era)) = (known, history.era(epoch)) else { return Told::Unreadable };
        let admitted_by = if event.kind == LogKind::Cut { self.admitted(&packet) } else { None };
        let mut record = record(event, packet, &outcome, era);
        record.admitted_by = admitted_by;
        record.stamp = stamp;
        let asked_for = outcome.log || event.kind != LogKind::Allow;
        if asked_for { Told::Record(Box::new(record)) } else { Told::Seen(Box::new(record)) }
    }

    fn remember(&mut self, packet: Packet, rule: Option<String>) {
        if self.cuts.len() == WAITING {
            self.cuts.pop_front();
        }
        self.cuts.push_back((packet, rule));
    }

    /// The rule that had admitted the packet's flow. The newest half counts; older ones of the same packet are what
    /// losses left.
    fn admitted(&mut self, packet: &Packet) -> Option<String> {
        let at = self.cuts.iter().rposition(|(first, _)| first == packet)?;
        let (_, rule) = self.cuts.remove(at)?;
        self.cuts.retain(|(first, _)| first != packet);
        rule
    }
}

/// The epoch and the word of a mark.
fn split(mark: u32) -> (u16, Word) {
    let epoch = (mark >> EPOCH_SHIFT) & EPOCH_BITS;
    (u16::try_from(epoch).unwrap_or(0), Word(mark & Word::MASK))
}

/// What decided, by the message's kind or its word.
fn outcome(event: &LogEvent, epoch: u16, word: Word, history: &History, living: &Numbering) -> Option<Outcome> {
    let end = match event.direction {
        Direction::In => End::Destination,
        Direction::Out => End::Source,
    };
    match event.kind {
        LogKind::Invalid => Some(Outcome::of_fixed(Builtin::Invalid, end)),
        LogKind::Barrier => Some(Outcome::of_fixed(Builtin::Barrier, end)),
        LogKind::Allow | LogKind::Deny | LogKind::Was | LogKind::Cut => match history::fixed(word) {
            Some(fixed) => Some(Outcome::of_fixed(fixed, end)),
            None => history.outcome(epoch, word, living),
        },
    }
}

/// A record of one message, in the flow's original direction.
fn record(event: &LogEvent, packet: Packet, outcome: &Outcome, era: &Era) -> Record {
    let answer =
        matches!((event.direction, outcome.end), (Direction::In, End::Source) | (Direction::Out, End::Destination));
    let detail = match event.kind {
        LogKind::Barrier => nonce(&packet.payload),
        LogKind::Allow | LogKind::Deny | LogKind::Was | LogKind::Cut | LogKind::Invalid => {
            if packet.protocol == packet::ARP { "arp".to_owned() } else { String::new() }
        }
    };
    let packet = if answer { packet::reversed(packet) } else { packet };
    let icmp_type = if answer { packet::request_type(packet.protocol, packet.icmp_type) } else { packet.icmp_type };
    let end = |address, port| FlowEnd { vm: era.identity(address), address, port };
    Record {
        key: RecordKey { vm: String::new(), boot: String::new(), sequence: 0 },
        kind: kind(event.kind),
        direction: event.direction,
        source: end(packet.source, packet.source_port),
        destination: end(packet.destination, packet.destination_port),
        family: Family::of(packet.source),
        protocol: packet.protocol,
        icmp_type: if is_icmp(packet.protocol) { icmp_type } else { 0 },
        icmp_id: packet.icmp_id,
        tcp_sequence: packet.tcp_sequence,
        payload: packet.payload,
        verdict: outcome.verdict,
        rule: outcome.rule.clone(),
        admitted_by: None,
        end: outcome.end,
        would: outcome.would.clone(),
        monitor: outcome.monitor,
        generation_first: era.first,
        generation_last: era.last,
        packets: 1,
        detail,
        stamp: 0,
    }
}

fn kind(kind: LogKind) -> Kind {
    match kind {
        LogKind::Allow => Kind::Allow,
        LogKind::Deny => Kind::Deny,
        LogKind::Was | LogKind::Cut => Kind::Cut,
        LogKind::Invalid => Kind::Invalid,
        LogKind::Barrier => Kind::Barrier,
    }
}

fn is_icmp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Icmp | Protocol::Icmpv6)
}

/// A sentinel's nonce in hex.
fn nonce(payload: &[u8]) -> String {
    let nonce = payload.strip_prefix(SENTINEL).unwrap_or(payload);
    nonce.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

//! Detection: counts what sources try, and tells when a detector's number is reached.
//!
//! What counts is the first packet of a flow, whatever its verdict. Each detector keeps at most [`MOST_MARKS`] of them;
//! beyond, the oldest are dropped and counted.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Builtin, End, Protocol, Watch};
use wire::{Direction, Kind, Record, View, ViewDetector};

use crate::party::{Parties, Party};

/// The most things that one detector remembers.
pub const MOST_MARKS: usize = 32_768;

/// What is told apart: a port, a peer, a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// A protocol's destination port.
    Port(Protocol, u16),
    /// A peer.
    Peer(Party),
    /// A connection: protocol, both ports (or ICMP's identifier and type), and TCP's first sequence number.
    Flow(Protocol, u16, u16, Option<u32>),
    /// So many bytes.
    Bytes(u64),
}

/// A detector that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The detector.
    pub(crate) detector: ViewDetector,
    /// The source at fault.
    pub(crate) who: Party,
    /// The record of an attempt of it, the last one.
    pub(crate) last: Record,
    /// What was seen within the time, each with its time, the oldest first.
    pub(crate) seen: Vec<(u64, Mark)>,
}

impl Finding {
    /// What the detector counted: bytes add up, all else is one each.
    pub(crate) fn number(&self) -> u64 {
        let one = |mark: &Mark| match mark {
            Mark::Bytes(bytes) => *bytes,
            Mark::Port(..) | Mark::Peer(_) | Mark::Flow(..) => 1,
        };
        self.seen.iter().fold(0, |sum, (_, mark)| sum.saturating_add(one(mark)))
    }
}

/// All detectors of a VM.
#[derive(Debug, Default)]
pub(crate) struct Detectors {
    own: String,
    watchers: Vec<Watcher>,
    /// What was dropped for want of room.
    dropped: u64,
}

impl Detectors {
    /// Watches as a view says. A detector that stays goes on counting.
    pub(crate) fn hold(&mut self, view: &View) {
        let mut before = std::mem::take(&mut self.watchers);
        self.own.clone_from(&view.vm);
        let watcher = |detector: &ViewDetector| {
            let peers = Parties::of(view, detector.peers);
            let same = |one: &Watcher| {
                one.peers == peers
                    && ViewDetector { peers: 0, ..one.detector.clone() }
                        == ViewDetector { peers: 0, ..detector.clone() }
            };
            match before.iter().position(same) {
                Some(at) => before.swap_remove(at),
                None => Watcher { detector: detector.clone(), peers, order: BTreeSet::new(), sources: BTreeMap::new() },
            }
        };
        // Volumes are told by counters, not by first packets.
        let of_attempts = |detector: &&ViewDetector| !matches!(detector.watch, Watch::Volume { .. });
        self.watchers = view.detectors.iter().filter(of_attempts).map(watcher).collect();
    }

    /// What was dropped for want of room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes in what a log message told. `now` is the agent's own clock in milliseconds, here and below.
    pub(crate) fn see(&mut self, record: &Record, now: u64) -> Vec<Finding> {
        if self.watchers.is_empty() || !is_attempt(record, &self.own) {
            return Vec::new();
        }
        let dropped = &mut self.dropped;
        self.watchers.iter_mut().filter_map(|watcher| watcher.see(record, now, dropped)).collect()
    }

    /// When something is to be told though nothing more happens.
    pub(crate) fn next(&self) -> Option<u64> {
        self.watchers.iter().filter_map(Watcher::next).min()
    }

    /// What is to be told by now.
    pub(crate) fn due(&mut self, now: u64) -> Vec<Finding> {
        self.watchers.iter_mut().flat_map(|watcher| watcher.due(now)).collect()
    }
}

/// Whether a record tells of the first packet of a flow between this VM and another. What a detector or a quarantine
/// denied is answered already.
fn is_attempt(record: &Record, own: &str) -> bool {
    let answered = record.rule.starts_with(policy::Detector::PREFIX) || record.rule == Builtin::Quarantine.name();
    let here = match (record.direction, record.end) {
        (Direction::In, End::Destination) => &record.destination,
        (Direction::Out, End::Source) => &record.source,
        (Direction::In, End::Source) | (Direction::Out, End::Destination) => return false,
    };
    matches!(record.kind, Kind::Allow | Kind::Deny) && !answered && here.vm.as_deref() == Some(own)
}

/// One detector with what it remembers.
#[derive(Debug)]
struct Watcher {
    detector: ViewDetector,
    peers: Parties,
    /// All marks of all sources, the oldest first.
    order: BTreeSet<(u64, Party, Mark)>,
    sources: BTreeMap<Party, Track>,
}

/// What is remembered of one source.
#[derive(Debug, Default)]
struct Track {
    /// When each mark was seen last.
    seen: BTreeMap<Mark, u64>,
    /// It was told of: nothing more is told before this time, and then what came meanwhile, if it reaches the number.
    quiet: Option<(u64, Record)>,
}

impl Watcher {
    fn see(&mut self, record: &Record, now: u64, dropped: &mut u64) -> Option<Finding> {
        let at_source = self.detector.watch.is_at_source();
        let peer = Party::of(if at_source { &record.destination } else { &record.source });
        if at_source != (record.end == End::Source) || !self.peers.hold(&peer) {
            return None;
        }
        let who = Party::of(&record.source);
        let mark = mark(self.detector.watch, record)?;
        self.expire(now);
        self.remember(&who, mark, now);
        while self.order.len() > MOST_MARKS {
            self.forget_oldest();
            *dropped += 1;
        }
        let track = self.sources.get_mut(&who)?;
        match &mut track.quiet {
            Some((until, last)) if now < *until => {
                last.clone_from(record);
                None
            }
            Some(_) | None => self.fire(&who, record.clone(), now),
        }
    }

    fn remember(&mut self, who: &Party, mark: Mark, now: u64) {
        let track = self.sources.entry(who.clone()).or_default();
        if let Some(before) = track.seen.insert(mark.clone(), now) {
            self.order.remove(&(before, who.clone(), mark.clone()));
        }
        self.order.insert((now, who.clone(), mark));
    }

    /// Tells of a source, if it reached the number.
    fn fire(&mut self, who: &Party, last: Record, now: u64) -> Option<Finding> {
        let track = self.sources.get_mut(who)?;
        if (track.seen.len() as u64) < self.detector.watch.threshold() {
            track.quiet = None;
            return None;
        }
        track.quiet = Some((now + self.detector.within, last.clone()));
        let mut seen: Vec<(u64, Mark)> = track.seen.iter().map(|(mark, time)| (*time, mark.clone())).collect();
        seen.sort();
        // What was told of is not told of again.
        for (time, mark) in std::mem::take(&mut track.seen).into_iter().map(|(mark, time)| (time, mark)) {
            self.order.remove(&(time, who.clone(), mark));
        }
        Some(Finding { detector: self.detector.clone(), who: who.clone(), last, seen })
    }

    /// Forgets what is past.
    fn expire(&mut self, now: u64) {
        while self.order.first().is_some_and(|(time, _, _)| time.saturating_add(self.detector.within) <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, who, mark)) = self.order.pop_first() else { return };
        let Some(track) = self.sources.get_mut(&who) else { return };
        track.seen.remove(&mark);
        if track.seen.is_empty() && track.quiet.is_none() {
            self.sources.remove(&who);
        }
    }

    fn next(&self) -> Option<u64> {
        self.sources.values().filter_map(|track| track.quiet.as_ref()).map(|(until, _)| *until).min()
    }

    /// Ends the quiet times that are over.
    fn due(&mut self, now: u64) -> Vec<Finding> {
        let over = |track: &Track| track.quiet.as_ref().is_some_and(|(until, _)| *until <= now);
        let ended: Vec<Party> =
            self.sources.iter().filter(|(_, track)| over(track)).map(|(who, _)| who.clone()).collect();
        let mut findings = Vec::new();
        for who in ended {
            let last = self.sources.get_mut(&who).and_then(|track| track.quiet.take());
            findings.extend(last.and_then(|(_, last)| self.fire(&who, last, now)));
            self.sources.retain(|_, track| !track.seen.is_empty() || track.quiet.is_some());
        }
        findings
    }
}

/// What an attempt counts as; `None` where it is nothing that the detector counts.
fn mark(watch: Watch, record: &Record) -> Option<Mark> {
    let (protocol, port) = (record.protocol, record.destination.port);
    match watch {
        Watch::Scan { .. } => matches!(protocol, Protocol::Tcp | Protocol::Udp).then_some(Mark::Port(protocol, port)),
        Watch::Sweep { .. } => Some(Mark::Peer(Party::of(&record.destination))),
        Watch::Flood { .. } => Some(match protocol {
            Protocol::Icmp | Protocol::Icmpv6 => {
                Mark::Flow(protocol, record.icmp_id, u16::from(record.icmp_type), None)
            }
            Protocol::Tcp | Protocol::Udp | Protocol::Other(_) => {
                Mark::Flow(protocol, record.source.port, port, record.tcp_sequence)
            }
        }),
        Watch::Volume { .. } => None,
    }
}

//! The wire's witness: what left each station and what came up to it, by tuple.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lab::{Direction, Lab, Tap};

use super::capture::Capture;
use crate::evidence::Wire;
use crate::probe::tuple::Tuple;

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What one station's tap saw of one tuple.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Frames out of the station.
    pub(crate) left: u64,
    /// Frames up to the station.
    pub(crate) reached: u64,
    /// Those of the two that are resets.
    resets: (u64, u64),
    /// The initial sequence number.
    pub(crate) sequence: Option<u32>,
    /// How far what comes the other way is acknowledged.
    pub(crate) acknowledged: Option<u32>,
}

/// A tap at every station.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    taps: BTreeMap<Arc<str>, Tap>,
    seen: HashMap<String, HashMap<Tuple, Seen>>,
    lost: u64,
    /// The frames themselves, where somebody wants them.
    pub(crate) capture: Option<Capture>,
}

impl Taps {
    /// Listens at a station; the center's own channel is left out.
    pub(crate) fn open(&mut self, lab: &Lab, station: &str, except: u16) -> lab::Result<()> {
        let tap = lab.station(station)?.tap_except(except)?;
        self.taps.insert(station.into(), tap);
        Ok(())
    }

    /// Forgets a station that is gone.
    pub(crate) fn close(&mut self, station: &str) {
        self.taps.remove(station);
    }

    /// Forgets what was seen; a new step begins.
    pub(crate) fn clear(&mut self) -> lab::Result<()> {
        self.drain()?;
        self.seen.clear();
        self.lost = 0;
        self.capture.iter_mut().for_each(Capture::clear);
        Ok(())
    }

    /// Takes in what the wires have carried since the last call.
    pub(crate) fn drain(&mut self) -> lab::Result<()> {
        for (station, tap) in &mut self.taps {
            let seen = self.seen.entry(station.to_string()).or_default();
            let drained = tap.drain(|frame| {
                let key = lab::packet::parse(frame.bytes);
                let ends = key.map(|key| (key.source, key.destination));
                self.capture.iter_mut().for_each(|capture| capture.keep(station, &frame, ends));
                key.iter()
                    .for_each(|key| note(seen.entry(Tuple::of_frame(key)).or_default(), frame.direction, key.tcp));
            })?;
            self.lost += drained.lost;
        }
        Ok(())
    }

    /// What a station's tap saw of a tuple in this step.
    pub(crate) fn seen(&self, station: &str, tuple: &Tuple) -> Seen {
        self.seen.get(station).and_then(|seen| seen.get(tuple)).copied().unwrap_or_default()
    }

    /// What the taps at both ends saw of a flow in this step.
    pub(crate) fn wire(&self, (source, destination): (&str, &str), tuple: &Tuple) -> Wire {
        let plain = |seen: Seen| (seen.left - seen.resets.0, seen.reached - seen.resets.1);
        let at = |station: &str| (plain(self.seen(station, tuple)), plain(self.seen(station, &tuple.reversed())));
        let ((left_source, _), (_, reached_source)) = at(source);
        let ((_, reached_destination), (left_destination, _)) = at(destination);
        Wire { left_source, reached_destination, left_destination, reached_source }
    }

    /// The connections that came up to a station in this step, from outside of it.
    pub(crate) fn came_up(&self, station: &str) -> impl Iterator<Item = &Tuple> {
        let opened = |seen: &Seen| seen.reached > 0 && seen.sequence.is_some();
        let all = self.seen.get(station).into_iter().flatten();
        all.filter(move |(_, seen)| opened(seen)).map(|(tuple, _)| tuple)
    }

    /// Frames lost in this step, over all taps.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

fn note(seen: &mut Seen, direction: Direction, tcp: Option<lab::packet::Tcp>) {
    let resets = u64::from(tcp.is_some_and(|tcp| tcp.flags & RST != 0));
    match direction {
        Direction::FromVm => (seen.left, seen.resets.0) = (seen.left + 1, seen.resets.0 + resets),
        Direction::ToVm => (seen.reached, seen.resets.1) = (seen.reached + 1, seen.resets.1 + resets),
    }
    let initial = tcp.filter(|tcp| tcp.flags & (SYN | ACK) == SYN);
    seen.sequence = seen.sequence.or(initial.map(|tcp| tcp.sequence));
    let acknowledges = tcp.filter(|tcp| tcp.flags & ACK != 0);
    seen.acknowledged = acknowledges.map(|tcp| tcp.acknowledged).or(seen.acknowledged);
}

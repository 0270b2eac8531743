//! The frames of a step, for people: what was on the wires, to be written as pcapng where something was not as expected. No verdict
//! comes from here.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use lab::{Direction, Frame};

use super::lines::{Names, line};
use super::pcapng::{Captured, Way, pcapng};

/// How much of a frame is kept: headers, and of a probe its nonce.
const SNAP: usize = 192;
/// How many frames are kept; older ones go, counted.
const MOST: usize = 50_000;

/// The newest frames of a step.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    frames: VecDeque<Kept>,
    gone: u64,
}

#[derive(Debug)]
struct Kept {
    station: Arc<str>,
    ends: Option<(IpAddr, IpAddr)>,
    captured: Captured,
}

impl Capture {
    /// Keeps a frame that a station's tap has seen.
    pub(crate) fn keep(&mut self, station: &Arc<str>, frame: &Frame<'_>, ends: Option<(IpAddr, IpAddr)>) {
        if self.frames.len() == MOST {
            self.frames.pop_front();
            self.gone += 1;
        }
        let captured = Captured {
            interface: 0,
            way: match frame.direction {
                Direction::FromVm => Way::In,
                Direction::ToVm => Way::Out,
            },
            stamp_ns: frame.stamp_ns,
            length: frame.length,
            bytes: frame.bytes[..frame.bytes.len().min(SNAP)].into(),
        };
        self.frames.push_back(Kept { station: Arc::clone(station), ends, captured });
    }

    /// Forgets all; a new step begins.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many frames went for want of room.
    pub(crate) fn gone(&self) -> u64 {
        self.gone
    }

    /// The packets between ends for which `concerns` holds, in the order of time, each with the station at whose wire it was.
    pub(crate) fn lines(&self, names: &Names, concerns: impl Fn(IpAddr, IpAddr) -> bool) -> Vec<String> {
        let kept = self.frames.iter().filter(|kept| kept.ends.is_some_and(|(one, other)| concerns(one, other)));
        let mut kept: Vec<&Kept> = kept.collect();
        kept.sort_by_key(|kept| kept.captured.stamp_ns);
        let told = |kept: &&Kept| {
            let Captured { way, stamp_ns, length, bytes, .. } = &kept.captured;
            let direction = match way {
                Way::In => Direction::FromVm,
                Way::Out => Direction::ToVm,
            };
            let frame = Frame { direction, stamp_ns: *stamp_ns, bytes, length: *length };
            format!("{:<12} {}", kept.station, line(&frame, names))
        };
        kept.iter().map(told).collect()
    }

    /// The frames between ends for which `concerns` holds, in the order of time, as a file; `None` where there are none. Each
    /// station's wire is an interface with the station's name, seen from the host: what comes in leaves the station.
    pub(crate) fn file(&self, concerns: impl Fn(IpAddr, IpAddr) -> bool) -> Option<Vec<u8>> {
        let kept = self.frames.iter().filter(|kept| kept.ends.is_none_or(|(one, other)| concerns(one, other)));
        let mut kept: Vec<&Kept> = kept.collect();
        kept.sort_by_key(|kept| kept.captured.stamp_ns);
        let mut stations: Vec<&str> = kept.iter().map(|kept| &*kept.station).collect();
        stations.sort_unstable();
        stations.dedup();
        let interface = |station: &str| stations.binary_search(&station).unwrap_or_default();
        let frames = kept.iter().map(|kept| Captured { interface: interface(&kept.station), ..kept.captured.clone() });
        let frames: Vec<Captured> = frames.collect();
        (!frames.is_empty()).then(|| pcapng(&stations, SNAP, &frames))
    }
}

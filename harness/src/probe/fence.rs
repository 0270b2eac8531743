//! Fences: a marker sent behind a probe on the same path and sent back from the far end. When it is back, nothing of
//! the probe can be under way.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use lab::{Lab, Marker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::evidence::Fence;
use crate::patience::scaled;

/// The last resort, where a marker does not come back.
const LAST_RESORT: Duration = Duration::from_millis(500);
/// … and the time behind which one that may be lost is sent anew.
const SOON: Duration = Duration::from_millis(20);
/// Markers that one look takes; there are never more than a few.
const MOST_AT_ONCE: usize = 64;

/// The stations' marker sockets.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    markers: HashMap<String, Marker>,
    next: u64,
}

impl Fences {
    /// Opens a station's socket, so that it is there before it is needed.
    pub(crate) fn open(&mut self, lab: &Lab, station: &str) -> lab::Result<()> {
        if !self.markers.contains_key(station) {
            self.markers.insert(station.to_owned(), lab.station(station)?.marker()?);
        }
        Ok(())
    }

    /// Forgets a station that is gone.
    pub(crate) fn close(&mut self, station: &str) {
        self.markers.remove(station);
    }

    /// Sends a marker there and back.
    pub(crate) fn run(&mut self, lab: &Lab, source: &str, destination: &str) -> lab::Result<Fence> {
        self.open(lab, source)?;
        self.open(lab, destination)?;
        let (here, there) = (lab.station(source)?.mac(), lab.station(destination)?.mac());
        self.next += 1;
        let (Some(near), Some(far)) = (self.markers.get(source), self.markers.get(destination)) else {
            return Ok(Fence::Lost);
        };
        let quality = lab.quality(source, destination);
        // What a path loses is sent anew soon: no verdict hangs on how soon.
        let patience = if quality.loss > 0 { quality.delay * 2 + SOON } else { scaled(LAST_RESORT) };
        near.send(there, self.next)?;
        if !wait(far, self.next, patience)? {
            return Ok(Fence::Lost);
        }
        far.send(here, self.next)?;
        Ok(if wait(near, self.next, patience)? { Fence::Returned } else { Fence::Lost })
    }
}

/// Waits for one marker; on a healthy lab it is there at the first look.
fn wait(marker: &Marker, id: u64, patience: Duration) -> lab::Result<bool> {
    let begun = Instant::now();
    loop {
        for _ in 0..MOST_AT_ONCE {
            match marker.recv()? {
                Some((_, got)) if got == id => return Ok(true),
                Some(_) => {}
                None => break,
            }
        }
        if begun.elapsed() > patience {
            return Ok(false);
        }
        let mut ready = [PollFd::new(marker.as_fd(), PollFlags::POLLIN)];
        // An interrupted wait only looks again.
        let _ = poll(&mut ready, PollTimeout::from(10_u8));
    }
}

//! Capturing at a VM's wire: at the host's end, where nothing inside the VM can lie.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Direction, Frame, Tap};
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::jail::protocol::Speaker;
use crate::witness::lines::{Names, line};
use crate::witness::pcapng::{Captured, Way, head, packet, statistics};
use crate::world::World;

/// How many captures may be under way in a lab: each has a tap with a buffer of its own.
const MOST: usize = 16;
/// How much of a frame a tap keeps.
const SNAP: usize = 2048;
/// How often a wire is looked for that has moved to another host, in milliseconds.
const LOOK: u16 = 250;

/// What is to be captured, and how it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capture {
    /// The VM, or an outside endpoint.
    pub vm: String,
    /// Whole frames as pcapng, and not a line for each.
    pub frames: bool,
    /// End with so many packets.
    pub count: Option<u64>,
    /// End after so many seconds.
    pub seconds: Option<u64>,
}

/// The captures that are under way.
#[derive(Debug, Default)]
pub(super) struct Captures(Vec<Weak<()>>);

impl Captures {
    /// Begins one, which is written to the second of the asker's streams. The asker hears that it stands and how it ended;
    /// when the asker says no more, it ends.
    pub(super) fn start(
        &mut self,
        world: &World,
        order: Capture,
        streams: Vec<OwnedFd>,
        asker: UnixStream,
    ) -> Result<(), String> {
        let [_, output, _]: [OwnedFd; 3] =
            streams.try_into().map_err(|_| "capture without a place to write to".to_owned())?;
        self.0.retain(|one| one.strong_count() > 0);
        if self.0.len() >= MOST {
            return Err(format!("capture at more than {MOST} wires at once"));
        }
        let tap = world.tap(&order.vm)?;
        let under_way = Arc::new(());
        self.0.push(Arc::downgrade(&under_way));
        let names = world.names();
        let work = move || {
            let _under_way = under_way;
            // An asker that has gone wants to know nothing.
            let _gone = Speaker::new(&asker).say(&Answer::Capturing);
            let answer = capture(tap, &order, names, (File::from(output), &asker));
            let answer = answer.map_or_else(Answer::Failed, |(packets, lost)| Answer::Captured { packets, lost });
            let _gone = Speaker::new(&asker).say(&answer);
        };
        let started = thread::Builder::new().name("capture".to_owned()).spawn(work);
        started.map(drop).map_err(|error| format!("start a thread: {error}"))
    }
}

/// Writes what comes until the end; says how many packets it was, and how many the kernel lost.
fn capture(mut tap: Tap, order: &Capture, names: Names, ends: (File, &UnixStream)) -> Result<(u64, u64), String> {
    let (out, asker) = ends;
    let end = order.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let wrong = |error: lab::LabError| error.to_string();
    let mut told = Told { out: BufWriter::new(out), order, names, packets: 0, last_ns: 0, failed: None };
    if order.frames {
        told.write(&head(&[order.vm.as_str()], SNAP));
    }
    let mut lost = 0;
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let look = left.map_or(LOOK, |left| u16::try_from(left.as_millis() + 1).unwrap_or(LOOK).min(LOOK));
        let gone = tap.wait(asker.as_fd(), look).map_err(wrong)?;
        lost += tap.drain(|frame| told.tell(&frame)).map_err(wrong)?.lost;
        let over = gone || told.is_full() || end.is_some_and(|end| end <= Instant::now());
        if over && order.frames {
            told.write(&statistics(told.last_ns, (told.packets, lost)));
        }
        told.flush()?;
        if over {
            return Ok((told.packets, lost));
        }
    }
}

/// What was written so far.
struct Told<'o> {
    out: BufWriter<File>,
    order: &'o Capture,
    names: Names,
    packets: u64,
    last_ns: u64,
    failed: Option<io::Error>,
}

impl Told<'_> {
    fn is_full(&self) -> bool {
        self.order.count.is_some_and(|count| self.packets >= count)
    }

    fn tell(&mut self, frame: &Frame<'_>) {
        if self.is_full() {
            return;
        }
        (self.packets, self.last_ns) = (self.packets + 1, frame.stamp_ns);
        if self.order.frames {
            self.write(&packet(&captured(frame)));
        } else {
            let text = line(frame, &self.names);
            self.write(text.as_bytes());
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(bytes).err();
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        let flushed = self.failed.take().map_or_else(|| self.out.flush(), Err);
        flushed.map_err(|error| format!("write what was captured: {error}"))
    }
}

fn captured(frame: &Frame<'_>) -> Captured {
    let way = match frame.direction {
        Direction::FromVm => Way::In,
        Direction::ToVm => Way::Out,
    };
    Captured { interface: 0, way, stamp_ns: frame.stamp_ns, length: frame.length, bytes: frame.bytes.into() }
}

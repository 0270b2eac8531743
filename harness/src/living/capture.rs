//! Capturing at a VM's wire: at the host's end, where nothing inside the VM can lie.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use lab::packet::{Key, parse};
use lab::{Direction, Frame, Tap};
use policy::Timestamp;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::jail::protocol::Speaker;
use crate::witness::pcapng::{Captured, Way, head, packet, statistics};
use crate::world::World;

/// How many captures may be under way in a lab: each has a tap with a buffer of its own.
const MOST: usize = 16;
/// How much of a frame a tap keeps.
const SNAP: usize = 2048;
/// How often a wire is looked for that has moved to another host, in milliseconds.
const LOOK: u16 = 250;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

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

/// Names by addresses.
type Names = BTreeMap<IpAddr, String>;

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

/// A packet for people: when, which way, from where to where, what, how long.
fn line(frame: &Frame<'_>, names: &Names) -> String {
    let time = Timestamp::from_nanosecond(frame.stamp_ns.into()).unwrap_or_default().strftime("%H:%M:%S%.6f");
    let way = match frame.direction {
        Direction::FromVm => "out",
        Direction::ToVm => "in ",
    };
    let length = frame.length;
    match parse(frame.bytes) {
        Some(key) => format!("{time} {way} {} {length}\n", what(&key, names)),
        None => format!("{time} {way} a strange packet {length}\n"),
    }
}

fn what(key: &Key, names: &Names) -> String {
    let name = |address| names.get(&address).map(|name| format!("{name} ")).unwrap_or_default();
    let has_ports = [TCP, UDP].contains(&key.protocol) && !key.later_fragment;
    let end = |address: IpAddr, port: u16| match (address, has_ports) {
        (address, false) => format!("{}{address}", name(address)),
        (IpAddr::V4(_), true) => format!("{}{address}:{port}", name(address)),
        (IpAddr::V6(_), true) => format!("{}[{address}]:{port}", name(address)),
    };
    let (from, to) = (end(key.source, key.source_port), end(key.destination, key.destination_port));
    let (kind, code) = (key.destination_port >> 8, key.destination_port & 0xff);
    let echo = key.echo_sequence.map(|number| format!(" id {} seq {number}", key.source_port)).unwrap_or_default();
    let what = match key.protocol {
        number if key.later_fragment => format!("fragment of protocol {number}"),
        TCP => format!("tcp {}", flags(key.tcp.map_or(0, |tcp| tcp.flags))),
        UDP => "udp".to_owned(),
        ICMP => format!("icmp/{kind}.{code}{echo}"),
        ICMPV6 => format!("icmpv6/{kind}.{code}{echo}"),
        number => format!("protocol {number}"),
    };
    format!("{from} > {to} {what}")
}

/// TCP's flags as tcpdump has them: an acknowledgement is a dot.
fn flags(bits: u8) -> String {
    "FSRP.U".chars().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN from 10.98.0.1:61000 to 10.98.0.2:80, or with another protocol's number.
    fn frame(protocol: u8, fragment: u8) -> Vec<u8> {
        let mut frame = [[2; 12].as_slice(), &[8, 0, 0x45, 0, 0, 60, 0, 0, 0, fragment, 64, protocol, 0, 0]].concat();
        frame.extend([10, 98, 0, 1, 10, 98, 0, 2]);
        frame.extend([238, 72, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0]);
        frame
    }

    #[test]
    fn a_packet_is_a_line() {
        let names = Names::from([("10.98.0.1".parse().unwrap(), "hr".to_owned())]);
        let rows: [(Vec<u8>, &str); 5] = [
            (frame(6, 0), "hr 10.98.0.1:61000 > 10.98.0.2:80 tcp S. 74"),
            (frame(17, 0), "hr 10.98.0.1:61000 > 10.98.0.2:80 udp 74"),
            (frame(17, 9), "hr 10.98.0.1 > 10.98.0.2 fragment of protocol 17 74"),
            (frame(47, 0), "hr 10.98.0.1 > 10.98.0.2 protocol 47 74"),
            (vec![0; 20], "a strange packet 20"),
        ];
        for (bytes, told) in rows {
            let length = lab::packet::length(&bytes);
            let frame = Frame { direction: Direction::FromVm, stamp_ns: 3_661_000_002_000, bytes: &bytes, length };
            assert_eq!(line(&frame, &names), format!("01:01:01.000002 out {told}\n"));
        }
    }
}

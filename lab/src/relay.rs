//! A relay in a station's wire: what comes at one end leaves at the other, and waits before as long as its path takes.
//!
//! The kernel has no discipline that delays where netem is left out, so frames pass through this program: whole, with what
//! the kernel leaves for a network card to do still to be done (`PACKET_VNET_HDR`, packet(7)).

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::socket::{self as packets, sockopt};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;
use socket2::Socket;

use crate::error::{Doing, Result};
use crate::message::Mac;
use crate::namespace::Namespace;
use crate::sys::{self, Listen};

/// The longest frame: as many segments as the kernel leaves in one, with both headers.
const LONGEST: usize = (1 << 16) + 256;
/// What the kernel puts before a frame of which work is left (`virtio_net_hdr`).
const LEFT: usize = 10;
/// How many frames wait each way at most; what comes then is dropped, as at a switch.
const MOST: usize = 1 << 13;
/// What an end may hold that was not taken yet, where the kernel permits.
const BUFFER: usize = 16 << 20;
/// How many frames one look takes from an end.
const MOST_AT_ONCE: usize = 256;

/// How long what goes to, or comes from, each link-layer address takes.
pub(crate) type Delays = Arc<Mutex<BTreeMap<Mac, Duration>>>;

/// A relay; it ends when dropped, and what waits in it is lost.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) delays: Delays,
    /// Its hanging up is the order to end.
    line: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Begins to carry frames between two interfaces of a namespace: the station's end, and the one that leads on.
    pub(crate) fn begin(inside: &Namespace, station: u32, on: u32, delays: Delays) -> Result<Relay> {
        let open = || Ok::<_, io::Error>([end(station)?, end(on)?]);
        let ends = inside.enter(open)?.doing("open a relay's ends")?;
        let (line, order) = UnixStream::pair().doing("make a relay's line")?;
        let own = Arc::clone(&delays);
        let carry = move || carry(&ends, &order, &own);
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(carry).doing("start a relay")?;
        Ok(Relay { delays, line: Some(line), thread: Some(thread) })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.line.take());
        // A thread that failed has ended, too.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn end(interface: u32) -> io::Result<Socket> {
    let listen = Listen { interface, ethertype: libc::ETH_P_ALL as u16, filter: &[], ignore_outgoing: true };
    let socket = sys::packet_socket(&listen)?;
    sys::leave_work(&socket)?;
    if packets::setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
        packets::setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
    }
    Ok(socket)
}

/// Frames on their way in one direction, by when they are due.
#[derive(Default)]
struct Waiting {
    frames: BTreeMap<(Instant, u64), Vec<u8>>,
    number: u64,
}

impl Waiting {
    /// Takes in what has come at an end. `peer` finds the other end's address in a frame.
    fn take(&mut self, from: &Socket, buffer: &mut [u8], delays: &Delays, peer: std::ops::Range<usize>) {
        for _ in 0..MOST_AT_ONCE {
            let Ok(length) = Read::read(&mut &*from, buffer) else { return };
            let frame = &buffer[..length];
            let mac = frame.get(LEFT..).and_then(|frame| frame.get(peer.clone())?.try_into().ok());
            let delays = delays.lock().unwrap_or_else(PoisonError::into_inner);
            let delay = mac.and_then(|mac: Mac| delays.get(&mac)).copied().unwrap_or_default();
            if self.frames.len() < MOST {
                self.number += 1;
                self.frames.insert((Instant::now() + delay, self.number), frame.to_vec());
            }
        }
    }

    /// Sends what is due.
    fn send(&mut self, to: &Socket) {
        while let Some(first) = self.frames.first_entry() {
            if first.key().0 > Instant::now() {
                return;
            }
            match io::Write::write(&mut &*to, first.get()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // What an end refuses is lost, as on a wire that is down.
                Ok(_) | Err(_) => drop(first.remove()),
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        self.frames.first_key_value().map(|((due, _), _)| *due)
    }
}

/// Keeps the calling thread on the processor on which it is: what it sends one after another then waits in one queue of the
/// kernel's, and nothing overtakes.
fn stay() -> nix::Result<()> {
    let mut one = CpuSet::new();
    one.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &one)
}

fn carry([station, on]: &[Socket; 2], order: &UnixStream, delays: &Delays) {
    if let Err(error) = stay() {
        // Frames may then overtake each other: a fence may be back before what was sent ahead of it, which is `unproven`.
        tracing::warn!(%error, "a relay may be moved between processors");
    }
    const TO: std::ops::Range<usize> = 0..6;
    const FROM: std::ops::Range<usize> = 6..12;
    let (mut leaving, mut coming) = (Waiting::default(), Waiting::default());
    let mut buffer = vec![0; LONGEST];
    loop {
        leaving.send(on);
        coming.send(station);
        let due = [leaving.next(), coming.next()].into_iter().flatten().min();
        let wait = due.map(|due| TimeSpec::from_duration(due.saturating_duration_since(Instant::now())));
        let mut ready = [station.as_fd(), on.as_fd(), order.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // An interrupted wait only looks again.
        let _ = ppoll(&mut ready, wait, None);
        if ready[2].any().unwrap_or(false) {
            return;
        }
        leaving.take(station, &mut buffer, delays, TO);
        coming.take(on, &mut buffer, delays, FROM);
    }
}

//! Taps: what goes over a station's wire, seen from the host's end, where nothing inside the station can lie.
//!
//! A tap follows its station: when the wire's end moves to another host, the tap is attached there before the
//! end is switched on, and what the old place had seen is delivered first. Nothing need be opened again.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self as packets, ControlMessageOwned, LinkAddr, MsgFlags, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{SockFilter, Socket};

use crate::error::{Doing, Result};
use crate::sys::{self, Listen};

/// How much of each frame is kept.
const SNAP: u32 = 2048;
/// How many frames one call of [`Tap::drain`] delivers at most.
const MOST_FRAMES: usize = 1 << 18;
/// What a tap may hold that was not drained yet, where the kernel permits.
const BUFFER: usize = 64 << 20;

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Out of the station.
    FromVm,
    /// Up to the station.
    ToVm,
}

/// One frame on a wire.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Which way it went.
    pub direction: Direction,
    /// The kernel's time of seeing it, in nanoseconds of the wall clock; 0 if it gave none.
    pub stamp_ns: u64,
    /// From the Ethernet header on, at most 2,048 bytes of it.
    pub bytes: &'a [u8],
    /// How long it was on the wire.
    pub length: usize,
}

/// What one call of [`Tap::drain`] came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Frames delivered.
    pub frames: u64,
    /// Frames that found no room since the call before.
    pub lost: u64,
}

/// A tap on one station's wire; it ends when dropped.
#[derive(Debug)]
pub struct Tap {
    wires: Arc<TapWires>,
    buffer: Vec<u8>,
}

impl Tap {
    pub(crate) fn new(wires: Arc<TapWires>) -> Tap {
        Tap { wires, buffer: vec![0; SNAP as usize] }
    }

    /// Delivers what was seen since the last call, in the order of each wire, and returns at once.
    pub fn drain(&mut self, mut take: impl FnMut(Frame<'_>)) -> Result<Drained> {
        let mut drained = Drained::default();
        let mut sockets = self.wires.lock();
        for (_, socket) in sockets.iter() {
            let frames = read_all(socket, &mut self.buffer, &mut take).doing("read a tap")?;
            drained.frames += frames;
            drained.lost += u64::from(sys::lost(socket).doing("read a tap's losses")?);
        }
        sockets.retain(|(left, _)| !left);
        Ok(drained)
    }
}

impl Tap {
    /// Waits until there is something to drain, or something happens at another descriptor, or for so many milliseconds.
    /// Says whether something has happened there. A wire that has moved meanwhile is looked at in the next wait.
    pub fn wait(&self, other: BorrowedFd<'_>, milliseconds: u16) -> Result<bool> {
        let sockets: io::Result<Vec<Socket>> = self.wires.lock().iter().map(|(_, socket)| socket.try_clone()).collect();
        let sockets = sockets.doing("watch a tap")?;
        let ends = std::iter::once(other).chain(sockets.iter().map(AsFd::as_fd));
        let mut ends: Vec<PollFd<'_>> = ends.map(|end| PollFd::new(end, PollFlags::POLLIN)).collect();
        match poll(&mut ends, PollTimeout::from(milliseconds)) {
            Ok(_) | Err(Errno::EINTR) => Ok(ends[0].any().unwrap_or(false)),
            Err(error) => Err(error).doing("watch a tap"),
        }
    }
}

/// The sockets of one tap, each with whether the wire has left its place.
#[derive(Debug)]
pub(crate) struct TapWires {
    filter: Vec<SockFilter>,
    sockets: Mutex<Vec<(bool, Socket)>>,
}

impl TapWires {
    pub(crate) fn new(except: Option<u16>) -> TapWires {
        TapWires { filter: filter(except), sockets: Mutex::default() }
    }

    /// Listens at an interface of the calling thread's namespace, which the wire has come to from another place.
    pub(crate) fn follow(&self, interface: u32) -> Result<()> {
        self.lock().iter_mut().for_each(|(left, _)| *left = true);
        self.attach(interface)
    }

    /// Listens at one more interface of the calling thread's namespace.
    pub(crate) fn attach(&self, interface: u32) -> Result<()> {
        let listen =
            Listen { interface, ethertype: libc::ETH_P_ALL as u16, filter: &self.filter, ignore_outgoing: false };
        let socket = sys::packet_socket(&listen).doing("open a tap")?;
        if packets::setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            packets::setsockopt(&socket, sockopt::RcvBuf, &BUFFER).doing("enlarge a tap")?;
        }
        packets::setsockopt(&socket, sockopt::ReceiveTimestampns, &true).doing("time a tap")?;
        self.lock().push((false, socket));
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(bool, Socket)>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_all(socket: &Socket, buffer: &mut [u8], take: &mut impl FnMut(Frame<'_>)) -> io::Result<u64> {
    let mut control = nix::cmsg_space!(TimeSpec);
    for frames in 0..MOST_FRAMES {
        match read(socket, buffer, &mut control) {
            Ok((length, direction, stamp_ns)) => {
                let bytes = &buffer[..length];
                take(Frame { direction, stamp_ns, bytes, length: crate::packet::length(bytes) });
            }
            Err(Errno::EAGAIN) => return Ok(frames as u64),
            // The wire's end went down or away; what was queued before can still be read.
            Err(Errno::ENETDOWN | Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(MOST_FRAMES as u64)
}

fn read(socket: &Socket, buffer: &mut [u8], control: &mut [u8]) -> nix::Result<(usize, Direction, u64)> {
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::empty();
    let got = packets::recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut slices, Some(control), flags)?;
    let outgoing = got.address.is_some_and(|address| address.pkttype() == libc::PACKET_OUTGOING);
    let mut stamp = 0;
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmTimestampns(time) = message {
            stamp = nanoseconds(time);
        }
    }
    let direction = if outgoing { Direction::ToVm } else { Direction::FromVm };
    Ok((got.bytes, direction, stamp))
}

fn nanoseconds(time: TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
}

/// Classic BPF: IPv4 and IPv6, without the TCP segments of one port.
fn filter(except: Option<u16>) -> Vec<SockFilter> {
    const HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
    const BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const HALF_BEHIND: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_IND) as u16;
    const HEADER: u16 = (libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let say = SockFilter::new;
    let Some(port) = except.map(u32::from) else {
        return vec![
            say(HALF, 0, 0, 12),
            say(EQUAL, 1, 0, 0x0800),
            say(EQUAL, 0, 1, 0x86dd),
            say(RETURN, 0, 0, SNAP),
            say(RETURN, 0, 0, 0),
        ];
    };
    vec![
        say(HALF, 0, 0, 12),         // 0: the ethertype
        say(EQUAL, 0, 9, 0x0800),    // 1: IPv4, else to 11
        say(BYTE, 0, 0, 23),         // 2: its protocol
        say(EQUAL, 0, 14, 6),        // 3: TCP, else accept (18)
        say(HALF, 0, 0, 20),         // 4: the fragment's offset
        say(ANY_BIT, 12, 0, 0x1fff), // 5: a later fragment: accept
        say(HEADER, 0, 0, 14),       // 6: the header's length
        say(HALF_BEHIND, 0, 0, 14),  // 7: the source port
        say(EQUAL, 10, 0, port),     // 8: leave out (19)
        say(HALF_BEHIND, 0, 0, 16),  // 9: the destination port
        say(EQUAL, 8, 7, port),      // 10: leave out, or accept
        say(EQUAL, 0, 7, 0x86dd),    // 11: IPv6, else leave out
        say(BYTE, 0, 0, 20),         // 12: its next header
        say(EQUAL, 0, 4, 6),         // 13: TCP, else accept
        say(HALF, 0, 0, 54),         // 14: the source port
        say(EQUAL, 3, 0, port),      // 15: leave out
        say(HALF, 0, 0, 56),         // 16: the destination port
        say(EQUAL, 1, 0, port),      // 17: leave out
        say(RETURN, 0, 0, SNAP),     // 18
        say(RETURN, 0, 0, 0),        // 19
    ]
}

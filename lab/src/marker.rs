//! Marker frames: an ethertype of the lab's own, sent behind a probe on the same path. What comes back after
//! one has overtaken nothing, so it ends a wait without a clock.

use std::io;

use socket2::{SockFilter, Socket};

use crate::error::{Doing, LabError, Result};
use crate::message::Mac;
use crate::sys::{self, Listen};

/// The ethertype of marker frames, one of those kept free for local experiments.
pub const MARKER_ETHERTYPE: u16 = 0x88b5;
/// The shortest Ethernet frame.
const LENGTH: usize = 60;
const HEADER: usize = 14;

/// A socket inside a station for marker frames alone; it never blocks.
#[derive(Debug)]
pub struct Marker {
    socket: Socket,
    mac: Mac,
}

impl Marker {
    /// Listens at an interface of the calling thread's namespace.
    pub(crate) fn listen(interface: u32) -> io::Result<Socket> {
        let filter: &[SockFilter] = &[];
        sys::packet_socket(&Listen { interface, ethertype: MARKER_ETHERTYPE, filter, ignore_outgoing: true })
    }

    pub(crate) fn new(socket: Socket, mac: Mac) -> Marker {
        Marker { socket, mac }
    }

    /// Sends a marker with this number to a station.
    pub fn send(&self, to: Mac, id: u64) -> Result<()> {
        let mut frame = [0; LENGTH];
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&self.mac);
        frame[12..14].copy_from_slice(&MARKER_ETHERTYPE.to_be_bytes());
        frame[HEADER..HEADER + 8].copy_from_slice(&id.to_be_bytes());
        self.socket.send(&frame).doing("send a marker").map(drop)
    }

    /// The next marker that came: whence, and its number. `None` if there is none at this moment.
    pub fn recv(&self) -> Result<Option<(Mac, u64)>> {
        let mut frame = [0; LENGTH];
        match io::Read::read(&mut &self.socket, &mut frame) {
            Ok(_) => Ok(parse(&frame)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // The interface was switched off and on; that is told once.
            Err(error) if error.kind() == io::ErrorKind::NetworkDown => Ok(None),
            Err(source) => Err(LabError::Kernel { doing: "receive a marker".to_owned(), source }),
        }
    }
}

impl std::os::fd::AsFd for Marker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn parse(frame: &[u8; LENGTH]) -> Option<(Mac, u64)> {
    let from = frame[6..12].try_into().ok()?;
    let id = frame[HEADER..HEADER + 8].try_into().ok()?;
    Some((from, u64::from_be_bytes(id)))
}

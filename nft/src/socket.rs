//! The netlink socket: batches out, answers and listings in.
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, getsockname, getsockopt, recv, send, setsockopt, sockopt};

use crate::attr::Writer;
use crate::error::Error;
use crate::message::{Head, Message, Messages, write};
use crate::numbers::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};

const SEND_BYTES: usize = 64 << 20;
const RECEIVE_BYTES: usize = 8 << 20;
const READ_BYTES: usize = 256 << 10;
const DUMP_ATTEMPTS: u32 = 8;

/// A netfilter netlink socket of the network namespace in which it was opened.
pub struct Socket {
    fd: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("fd", &self.fd.as_raw_fd()).field("sequence", &self.sequence).finish()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn open() -> Result<Self, Error> {
        let fd = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_NETFILTER)
            .map_err(|error| Error::Io { what: "open a netlink socket", errno: from_io(&error) })?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(Error::io("bind a netlink socket"))?;
        if setsockopt(&fd, sockopt::SndBufForce, &SEND_BYTES).is_err() {
            setsockopt(&fd, sockopt::SndBuf, &SEND_BYTES).map_err(Error::io("enlarge the send buffer"))?;
        }
        grow_receive(&fd, RECEIVE_BYTES)?;
        // Both only make refusals easier to read.
        drop(fd.set_cap_ack(true));
        drop(fd.set_ext_ack(true));
        Ok(Self { fd, sequence: 1, buffer: vec![0; READ_BYTES] })
    }

    /// The largest batch, in bytes, that can be sent at once.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn send_limit(&self) -> Result<usize, Error> {
        let size = getsockopt(&self.fd, sockopt::SndBuf).map_err(Error::io("read the send buffer's size"))?;
        Ok(size.saturating_sub(1024))
    }

    /// The kernel's number of this socket, which stands in what it tells others of its changes.
    pub(crate) fn port(&self) -> Result<u32, Error> {
        let own: NetlinkAddr = getsockname(self.fd.as_raw_fd()).map_err(Error::io("name a netlink socket"))?;
        Ok(own.pid())
    }

    pub(crate) fn take_sequences(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(count).max(1);
        first
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()) {
            Ok(_) => Ok(()),
            Err(Errno::EMSGSIZE) => Err(Error::TooLarge { size: bytes.len(), limit: self.send_limit()? }),
            Err(errno) => Err(Error::Io { what: "send to the kernel", errno }),
        }
    }

    /// Reads the answers that wait, until `each` says stop. The kernel answers before `send` returns.
    pub(crate) fn answers(&mut self, mut each: impl FnMut(Message<'_>) -> bool) -> Result<(), Error> {
        loop {
            let size = match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(size) => size,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(Error::Io { what: "read the kernel's answer", errno }),
            };
            let datagram = self.buffer.get(..size).unwrap_or_default();
            if Messages(datagram).any(|message| !each(message)) {
                return Ok(());
            }
        }
    }

    /// Drops answers of an earlier conversation that was broken off.
    pub(crate) fn drain(&mut self) {
        let fd = self.fd.as_raw_fd();
        for _ in 0..1024 {
            match recv(fd, &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }

    /// Sends one request and waits for its acknowledgement; other answers go to `each`.
    pub(crate) fn request(
        &mut self,
        mut head: Head,
        fill: impl FnOnce(&mut Writer),
        mut each: impl FnMut(Message<'_>),
    ) -> Result<(), Error> {
        self.drain();
        head.sequence = self.take_sequences(1);
        let mut out = Writer::default();
        write(&mut out, head, fill);
        self.send(&out.0)?;
        let mut code = 0;
        self.answers(|message| {
            if message.sequence == head.sequence && message.kind == NLMSG_ERROR {
                code = message.code();
                return false;
            }
            each(message);
            true
        })?;
        if code == 0 {
            Ok(())
        } else {
            Err(Error::Io { what: "have a request granted", errno: Errno::from_raw(-code) })
        }
    }

    /// Lists; starts again, within bounds, when the kernel says that the listing changed meanwhile.
    pub(crate) fn dump<T>(
        &mut self,
        head: Head,
        fill: impl Fn(&mut Writer),
        parse: impl Fn(Message<'_>, &mut Vec<T>),
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.dump_once(head, &fill, &parse)? {
                return Ok(found);
            }
        }
        Err(Error::Unsteady(DUMP_ATTEMPTS))
    }

    fn dump_once<T>(
        &mut self,
        mut head: Head,
        fill: &impl Fn(&mut Writer),
        parse: &impl Fn(Message<'_>, &mut Vec<T>),
    ) -> Result<Option<Vec<T>>, Error> {
        self.drain();
        head.flags |= NLM_F_DUMP;
        head.sequence = self.take_sequences(1);
        let mut out = Writer::default();
        write(&mut out, head, fill);
        self.send(&out.0)?;
        let (mut found, mut code, mut steady) = (Vec::new(), 0, true);
        self.answers(|message| {
            if message.sequence != head.sequence {
                return true;
            }
            steady &= message.flags & NLM_F_DUMP_INTR == 0;
            match message.kind {
                NLMSG_ERROR | NLMSG_DONE => {
                    code = message.code();
                    false
                }
                _ => {
                    parse(message, &mut found);
                    true
                }
            }
        })?;
        if code == 0 {
            return Ok(steady.then_some(found));
        }
        let errno = Errno::from_raw(-code);
        if errno == Errno::EINTR { Ok(None) } else { Err(Error::Io { what: "list the kernel's tables", errno }) }
    }
}

/// Asks for a large receive buffer, with force where that is allowed.
pub(crate) fn grow_receive(fd: &impl AsFd, bytes: usize) -> Result<(), Error> {
    if setsockopt(fd, sockopt::RcvBufForce, &bytes).is_err() {
        setsockopt(fd, sockopt::RcvBuf, &bytes).map_err(Error::io("enlarge the receive buffer"))?;
    }
    Ok(())
}

fn from_io(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

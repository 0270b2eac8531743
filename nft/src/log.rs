//! The NFLOG reader: packets in order, with an exact account of what was lost.
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

use crate::attr::{Attr, Writer};
use crate::error::Error;
use crate::message::{Head, Message, Messages, write};
use crate::numbers::{NLM_F_ACK, NLMSG_ERROR, SUBSYS_LOG};
use crate::socket::grow_receive;

const READ_BYTES: usize = 256 << 10;
/// How many datagrams one call reads at most, so that the caller's other work has its turn.
const DATAGRAMS: usize = 64;

/// How the reader listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// The group that the rules log to.
    pub group: u16,
    /// How much of each packet is copied at most.
    pub copy: u32,
    /// How many messages the kernel gathers before it hands them over.
    pub threshold: u32,
    /// How long it gathers at most, in hundredths of a second.
    pub hundredths: u32,
    /// The receive buffer that is asked for.
    pub buffer: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { group: 98, copy: 128, threshold: 64, hundredths: 2, buffer: 32 << 20 }
    }
}

/// A logged packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPacket {
    /// The rule's prefix.
    pub prefix: String,
    /// The packet mark as the rule saw it.
    pub mark: u32,
    /// The reader's own count of messages, from 0.
    pub sequence: u32,
    /// Messages that were lost directly before this one.
    pub lost_before: u32,
    /// The family of the rule's chain: 2 IPv4, 10 IPv6, 5 a device's.
    pub family: u8,
    /// 1 input, 2 forward, 3 output; of a device 0 ingress, 1 egress.
    pub hook: u8,
    /// The Ethernet protocol: 0x0800, 0x86dd.
    pub protocol: u16,
    /// The interface of arrival; 0: none.
    pub in_index: u32,
    /// The interface of departure; 0: none.
    pub out_index: u32,
    /// The user whose socket sent the packet, where the kernel tells.
    pub uid: Option<u32>,
    /// When the packet arrived, since 1970, where the kernel tells.
    pub time: Option<Duration>,
    /// The packet as far as it was copied: from its network header on; of a device, the whole frame.
    pub payload: Vec<u8>,
}

/// What one reading brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogBatch {
    /// The packets, in order.
    pub packets: Vec<LogPacket>,
    /// How many messages were lost before the last of these packets, by their sequence numbers.
    pub lost: u64,
    /// The kernel said that it had no room: messages are lost, and the next packet's gap tells how many.
    pub overrun: bool,
}

/// A reader of one group in the network namespace in which it was opened.
#[derive(Debug)]
pub struct LogReader {
    fd: OwnedFd,
    buffer: Vec<u8>,
    next: u32,
}

impl AsFd for LogReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for LogReader {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

impl LogReader {
    /// Binds to the group in the calling thread's network namespace. A group has one reader.
    ///
    /// # Errors
    /// When the kernel refuses, as it does where the group has a reader.
    pub fn open(options: LogOptions) -> Result<Self, Error> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)
            .map_err(Error::io("open a netlink socket"))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(Error::io("bind a netlink socket"))?;
        grow_receive(&fd, options.buffer)?;
        let mut reader = Self { fd, buffer: vec![0; READ_BYTES], next: 0 };
        let mut mode = options.copy.to_be_bytes().to_vec();
        mode.extend_from_slice(&[2, 0]);
        reader.configure(options.group, |w| {
            w.u8(1, 1);
        })?;
        reader.configure(options.group, |w| {
            w.bytes(2, &mode).be32(4, options.hundredths).be32(5, options.threshold).be16(6, 1);
        })?;
        Ok(reader)
    }

    fn configure(&mut self, group: u16, fill: impl FnOnce(&mut Writer)) -> Result<(), Error> {
        let mut out = Writer::default();
        let head = Head { kind: SUBSYS_LOG << 8 | 1, flags: NLM_F_ACK, sequence: 1, family: 0, resource: group };
        write(&mut out, head, fill);
        send(self.fd.as_raw_fd(), &out.0, MsgFlags::empty()).map_err(Error::io("configure the log reader"))?;
        for _ in 0..DATAGRAMS {
            let size = recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT)
                .map_err(Error::io("have the log reader configured"))?;
            let answer = Messages(self.buffer.get(..size).unwrap_or_default()).find(|one| one.kind == NLMSG_ERROR);
            match answer.map(Message::code) {
                Some(0) => return Ok(()),
                Some(code) => return Err(Error::Io { what: "listen to the log group", errno: Errno::from_raw(-code) }),
                None => {}
            }
        }
        Err(Error::Malformed("the log reader's set-up has no answer"))
    }

    /// Reads what waits, without blocking; `None` when nothing does.
    ///
    /// # Errors
    /// When the socket fails for another reason than a full buffer.
    pub fn read_batch(&mut self) -> Result<Option<LogBatch>, Error> {
        let mut batch = LogBatch::default();
        for turn in 0..DATAGRAMS {
            match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(size) => self.take(size, &mut batch),
                Err(Errno::EAGAIN) if turn == 0 => return Ok(None),
                Err(Errno::EAGAIN) => break,
                Err(Errno::ENOBUFS) => batch.overrun = true,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::Io { what: "read the log", errno }),
            }
        }
        Ok(Some(batch))
    }

    fn take(&mut self, size: usize, batch: &mut LogBatch) {
        for message in Messages(self.buffer.get(..size).unwrap_or_default()) {
            if message.kind != SUBSYS_LOG << 8 {
                continue;
            }
            let mut packet = parse(message);
            packet.lost_before = packet.sequence.wrapping_sub(self.next);
            self.next = packet.sequence.wrapping_add(1);
            batch.lost += u64::from(packet.lost_before);
            batch.packets.push(packet);
        }
    }
}

pub(crate) fn parse(message: Message<'_>) -> LogPacket {
    let family = message.body.first().copied().unwrap_or(0);
    let mut packet = LogPacket { family, ..LogPacket::default() };
    for attr in message.attrs() {
        let number = || attr.be32().unwrap_or(0);
        match attr.kind {
            1 => {
                packet.protocol = attr.be16().unwrap_or(0);
                packet.hook = attr.value.get(2).copied().unwrap_or(0);
            }
            2 => packet.mark = number(),
            3 => packet.time = time(attr),
            4 => packet.in_index = number(),
            5 => packet.out_index = number(),
            9 => packet.payload = attr.value.to_vec(),
            10 => packet.prefix = attr.text(),
            11 => packet.uid = Some(number()),
            12 => packet.sequence = number(),
            _ => {}
        }
    }
    packet
}

fn time(attr: Attr<'_>) -> Option<Duration> {
    let micros = Attr { kind: 0, value: attr.value.get(8..)? }.be64()?;
    Duration::from_secs(attr.be64()?).checked_add(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_has_is_none() {
        let of = |value: [u8; 16]| time(Attr { kind: 3, value: &value });
        assert_eq!(of([0; 16]), Some(Duration::ZERO));
        assert_eq!(of([0xff; 16]), None);
    }
}

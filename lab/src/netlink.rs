//! A routing-netlink socket that stays bound to the namespace it was opened in, and batches for it: many
//! requests in one send, only the last acknowledged, every failure named.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage, State};
use rtnetlink::packet_route::route::RouteType;

use crate::error::{LabError, Result};
use crate::message;

/// How much of a batch goes into one send; well below the default send buffer.
const CHUNK: usize = 64 * 1024;
/// How many replies are read for one chunk before it is given up as broken.
const MOST_REPLIES: usize = 4096;

/// Seconds after which the kernel is said not to answer.
const LAST_RESORT: i64 = 60;

/// How a request treats what exists.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// Make it; an error if it exists.
    Create,
    /// Make it, or put it in the place of what exists.
    Replace,
    /// Add to a list.
    Append,
    /// Change or remove what exists.
    Change,
}

impl How {
    fn flags(self) -> u16 {
        match self {
            How::Create => NLM_F_CREATE | NLM_F_EXCL,
            How::Replace => NLM_F_CREATE | NLM_F_REPLACE,
            How::Append => NLM_F_CREATE | NLM_F_APPEND,
            How::Change => 0,
        }
    }
}

/// Requests to be sent together, in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Request {
    start: usize,
    doing: &'static str,
    may_be_absent: bool,
}

impl Batch {
    /// Adds a request.
    pub(crate) fn push(&mut self, doing: &'static str, how: How, message: RouteNetlinkMessage) {
        self.add(doing, how, message, false);
    }

    /// Adds a removal of something that may be gone already.
    pub(crate) fn remove(&mut self, doing: &'static str, message: RouteNetlinkMessage) {
        self.add(doing, How::Change, message, true);
    }

    fn add(&mut self, doing: &'static str, how: How, message: RouteNetlinkMessage, may_be_absent: bool) {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | how.flags();
        let mut message = NetlinkMessage::new(header, message.into());
        message.finalize();
        let start = self.bytes.len();
        self.bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut self.bytes[start..start + message.buffer_len()]);
        self.requests.push(Request { start, doing, may_be_absent });
    }

    fn end_of(&self, request: usize) -> usize {
        self.requests.get(request + 1).map_or(self.bytes.len(), |next| next.start)
    }

    /// The last request of the chunk that begins with this one.
    fn chunk_end(&self, first: usize) -> usize {
        let start = self.requests[first].start;
        (first..self.requests.len())
            .take_while(|&request| request == first || self.end_of(request) - start <= CHUNK)
            .last()
            .unwrap_or(first)
    }

    fn stamp(&mut self, request: usize, sequence: u32, acknowledge: bool) {
        let header = &mut self.bytes[self.requests[request].start..];
        header[8..12].copy_from_slice(&sequence.to_ne_bytes());
        if acknowledge {
            let flags = u16::from_ne_bytes([header[6], header[7]]) | NLM_F_ACK;
            header[6..8].copy_from_slice(&flags.to_ne_bytes());
        }
    }
}

/// A socket for requests about links, addresses, routes and neighbours of one namespace.
#[derive(Debug)]
pub(crate) struct RouteSocket {
    fd: OwnedFd,
    sequence: u32,
}

impl RouteSocket {
    /// Opens a socket in the calling thread's namespace, where it stays.
    pub(crate) fn open() -> io::Result<RouteSocket> {
        let fd =
            socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        socket::setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(LAST_RESORT))?;
        Ok(RouteSocket { fd, sequence: 0 })
    }

    /// Carries out a batch. All of it is tried; the first failure is told.
    pub(crate) fn submit(&mut self, mut batch: Batch) -> Result<()> {
        let mut first = 0;
        let mut outcome = Ok(());
        while first < batch.requests.len() {
            let last = batch.chunk_end(first);
            outcome = outcome.and(self.chunk(&mut batch, first, last));
            first = last + 1;
        }
        outcome
    }

    fn chunk(&mut self, batch: &mut Batch, first: usize, last: usize) -> Result<()> {
        let base = self.sequence.wrapping_add(1);
        for request in first..=last {
            self.sequence = self.sequence.wrapping_add(1);
            batch.stamp(request, self.sequence, request == last);
        }
        let bytes = &batch.bytes[batch.requests[first].start..batch.end_of(last)];
        let failed = |request: usize, source: io::Error| LabError::Kernel {
            doing: batch.requests[request].doing.to_owned(),
            source,
        };
        socket::send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()).map_err(|error| failed(first, error.into()))?;
        let mut outcome = Ok(());
        for (sequence, error) in self.failures().map_err(|error| failed(first, error))? {
            let request = first + sequence.wrapping_sub(base) as usize;
            let known = batch.requests.get(request).filter(|_| request <= last);
            if let Some(known) = known
                && !(known.may_be_absent && is_absence(&error))
            {
                outcome = outcome.and(Err(failed(request, error)));
            }
        }
        outcome
    }

    /// What keeps a link from carrying packets; `None` where it does. Asking makes the kernel act on link changes that it
    /// would act on some time later (Linux 6.9 and later).
    pub(crate) fn link_fault(&mut self, interface: u32) -> io::Result<Option<String>> {
        let mut link = LinkMessage::default();
        link.header.index = interface;
        link.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
        let answer = self.ask(RouteNetlinkMessage::GetLink(link))?;
        let Some(RouteNetlinkMessage::NewLink(link)) = answer else {
            return Ok(Some(format!("there is no link {interface}")));
        };
        let up = |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::OperState(State::Up | State::Unknown));
        let carries = link.attributes.iter().any(up);
        Ok((!carries).then(|| format!("link {interface} has no carrier, its flags are {:?}", link.header.flags)))
    }

    /// What keeps an address from being answered for; `None` where it is.
    pub(crate) fn address_fault(&mut self, address: IpAddr) -> io::Result<Option<String>> {
        let answer = self.ask(RouteNetlinkMessage::GetRoute(message::route_to(address)))?;
        Ok(match answer {
            Some(RouteNetlinkMessage::NewRoute(route)) if route.header.kind == RouteType::Local => None,
            Some(RouteNetlinkMessage::NewRoute(route)) => Some(format!("{address} is {:?}", route.header.kind)),
            Some(_) | None => Some(format!("{address} has no route")),
        })
    }

    /// Asks one question; a refusal is no answer.
    fn ask(&mut self, question: RouteNetlinkMessage) -> io::Result<Option<RouteNetlinkMessage>> {
        let mut batch = Batch::default();
        batch.push("ask", How::Change, question);
        self.sequence = self.sequence.wrapping_add(1);
        batch.stamp(0, self.sequence, true);
        socket::send(self.fd.as_raw_fd(), &batch.bytes, MsgFlags::empty())?;
        let mut answer = None;
        self.replies(|reply| {
            if let Reply::Answer(bytes) = reply {
                answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).ok();
            }
        })?;
        match answer.map(|message| message.payload) {
            Some(NetlinkPayload::InnerMessage(answer)) => Ok(Some(answer)),
            Some(_) | None => Ok(None),
        }
    }

    /// The failures up to and with the acknowledgement of the newest request.
    fn failures(&self) -> io::Result<Vec<(u32, io::Error)>> {
        let mut failures = Vec::new();
        self.replies(|reply| match reply {
            Reply::Code(sequence, code) if code != 0 => {
                failures.push((sequence, io::Error::from_raw_os_error(-code)));
            }
            Reply::Code(..) | Reply::Answer(_) => {}
        })?;
        Ok(failures)
    }

    /// Reads replies up to and with the acknowledgement of the newest request.
    fn replies(&self, mut take: impl FnMut(Reply<'_>)) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        for _ in 0..MOST_REPLIES {
            let length = socket::recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if take_all(&buffer[..length], self.sequence, &mut take) {
                return Ok(());
            }
        }
        Err(io::Error::other("no acknowledgement among the replies"))
    }
}

enum Reply<'a> {
    /// An acknowledgement (0) or a failure: to which request, and the error's negated number.
    Code(u32, i32),
    /// A whole message that answers a question.
    Answer(&'a [u8]),
}

/// Takes replies, and tells whether the one to this request was among them.
fn take_all(mut bytes: &[u8], sequence: u32, take: &mut impl FnMut(Reply<'_>)) -> bool {
    let mut last = false;
    while let Some((reply, tail)) = next_reply(bytes) {
        bytes = tail;
        last |= matches!(reply, Reply::Code(of, _) if of == sequence);
        take(reply);
    }
    last
}

/// Takes the first reply from the bytes.
fn next_reply(bytes: &[u8]) -> Option<(Reply<'_>, &[u8])> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
    let length = (word(0)? as usize).max(16);
    let kind = word(4)? & 0xffff;
    let reply = if kind == libc::NLMSG_ERROR.cast_unsigned() {
        Reply::Code(word(8)?, word(16)?.cast_signed())
    } else {
        Reply::Answer(bytes.get(..length)?)
    };
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((reply, &bytes[next..]))
}

fn is_absence(error: &io::Error) -> bool {
    [libc::ENOENT, libc::ENODEV, libc::EADDRNOTAVAIL, libc::ESRCH]
        .iter()
        .any(|&code| error.raw_os_error() == Some(code))
}

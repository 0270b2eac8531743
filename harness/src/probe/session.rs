//! Sessions: connections that stay open over steps, with numbered messages both ways. What arrives in order counts;
//! resets are noted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};

use lab::Station;
use policy::FlowService;
use socket2::{SockAddr, Socket, Type};

use super::client::Client;
use super::listener::{Listeners, Place, socket};
use super::nonce;
use super::ports::Ports;
use super::tuple::Tuple;
use crate::evidence::Probe;
use crate::scenario::Speech;

/// Looks at both ends that follow one message.
const LOOKS: usize = 4;
/// The messages of one long write: together more than fits into a packet on any path of the lab.
const LONG: u64 = 256;
/// What one look takes: at least a long write, which may be one datagram.
const MOST_AT_ONCE: usize = 4096;

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its first probe.
    pub(crate) probe: Probe,
    /// Its tuple.
    pub(crate) tuple: Tuple,
    client: End,
    server: End,
    /// It has carried messages both ways.
    carried: bool,
}

/// What one exchange came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Messages sent and accepted.
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

#[derive(Debug)]
struct End {
    socket: Option<Socket>,
    broken: bool,
    sent: u64,
    received: u64,
    buffer: Vec<u8>,
    datagrams: bool,
    acknowledged: Option<u32>,
}

impl Session {
    /// Opens a session: the handshake, if any, runs at once. A refused one is open in name, with both ends broken.
    pub(crate) fn open(
        probe: Probe,
        (from, to): (&Station, &Station),
        ports: &mut Ports,
        listeners: &mut Listeners,
    ) -> Result<Self, String> {
        let place = (probe.destination_address, probe.service);
        let make =
            || Client::new(ports, (probe.source_address, probe.destination_address), probe.service, Speech::Plain);
        let made = from.enter(make).map_err(|error| error.to_string())?;
        let client = made.ok_or("a session is TCP or UDP")?.map_err(|error| format!("open a session: {error}"))?;
        let port = client.port;
        let source = SocketAddr::new(probe.source_address, port);
        let datagrams = matches!(probe.service, FlowService::Udp(_));
        let (client, server) = if datagrams {
            let server = to.enter(|| answering_socket(place, source)).map_err(|error| error.to_string())?;
            let client = client.connect().map_err(|error| format!("open a session: {error}"))?;
            (Ok(client), Some(server.map_err(|error| format!("open a session: {error}"))?))
        } else {
            listeners.open(to, place).map_err(|error| format!("listen for a session: {error}"))?;
            let client = client.connect();
            (client, listeners.accept(place, source).map(Socket::from))
        };
        let tuple = Tuple::of_probe(&probe, port);
        let client = End::new(client.ok(), datagrams);
        Ok(Self { probe, tuple, client, server: End::new(server, datagrams), carried: false })
    }

    /// Looks again for the server's end, where the handshake was not through at once.
    pub(crate) fn complete(&mut self, listeners: &mut Listeners) {
        if self.server.socket.is_none() && !self.server.datagrams {
            let place: Place = (self.probe.destination_address, self.probe.service);
            let from = SocketAddr::new(self.probe.source_address, self.tuple.from);
            self.server.socket = listeners.accept(place, from).map(Socket::from);
        }
    }

    /// Sends numbered messages both ways.
    pub(crate) fn send(&mut self, messages: u64) {
        for _ in 0..messages {
            self.exchange(1);
        }
        self.look();
    }

    /// Sends both ways what is longer than a packet may be.
    pub(crate) fn send_long(&mut self) {
        self.exchange(LONG);
        self.look();
    }

    fn exchange(&mut self, together: u64) {
        self.client.send(together);
        self.server.take();
        self.server.send(together);
        self.client.take();
    }

    /// Notes how far, by the wire's word, each end's bytes are acknowledged; where that says nothing, what was known holds.
    pub(crate) fn note_acknowledged(&mut self, client: Option<u32>, server: Option<u32>) {
        self.client.acknowledged = client.or(self.client.acknowledged);
        self.server.acknowledged = server.or(self.server.acknowledged);
    }

    /// How far the bytes of the end with this address are acknowledged.
    pub(crate) fn acknowledged(&self, address: IpAddr) -> u32 {
        let end = if address == self.tuple.source { &self.client } else { &self.server };
        end.acknowledged.unwrap_or(0)
    }

    /// What the client's and the server's socket know of how large a packet may be on the path.
    pub(crate) fn path_mtus(&self) -> (Option<u32>, Option<u32>) {
        let ask = |end: &End| lab::path_mtu(end.socket.as_ref()?, self.probe.source_address.is_ipv6()).ok();
        (ask(&self.client), ask(&self.server))
    }

    /// Takes what has come meanwhile.
    pub(crate) fn look(&mut self) {
        for _ in 0..LOOKS {
            self.server.take();
            self.client.take();
        }
    }

    /// Whether all that was sent has come, or an end is broken.
    pub(crate) fn is_through(&self) -> bool {
        let all = self.server.received >= self.client.sent && self.client.received >= self.server.sent;
        all || self.client.broken || self.server.broken
    }

    /// Whether it has carried messages both ways, and neither end is broken.
    pub(crate) fn stands(&mut self) -> bool {
        self.carried |= self.client.received > 0 && self.server.received > 0;
        self.carried && self.broken() == (false, false)
    }

    /// Whether a stream has still to carry what was sent on it before the last reckoning, as where a path was cut meanwhile.
    pub(crate) fn owes(&self) -> bool {
        !self.client.datagrams && !self.is_through()
    }

    /// What went forward and backward since the last reckoning. What a stream did not carry, it still has to.
    pub(crate) fn reckon(&mut self) -> (Exchange, Exchange) {
        self.stands();
        let forward = Exchange { sent: self.client.sent, received: self.server.received };
        let backward = Exchange { sent: self.server.sent, received: self.client.received };
        let left = |went: Exchange| if self.client.datagrams { 0 } else { went.sent.saturating_sub(went.received) };
        (self.client.sent, self.server.sent) = (left(forward), left(backward));
        (self.client.received, self.server.received) = (0, 0);
        (forward, backward)
    }

    /// Whether the client's and the server's socket have seen a reset or an error.
    pub(crate) fn broken(&self) -> (bool, bool) {
        (self.client.broken, self.server.broken)
    }

    /// Ends it in an orderly way: the client first, having read all.
    pub(crate) fn close(mut self) {
        self.look();
        drop(self.client);
        self.server.take();
    }
}

impl End {
    fn new(socket: Option<Socket>, datagrams: bool) -> Self {
        // Each message leaves at once: one that waits for an answer to the last would be judged after its step's look.
        let at_once = |socket: &Socket| datagrams || socket.set_tcp_nodelay(true).is_ok();
        let ready = socket.filter(|socket| socket.set_nonblocking(true).is_ok() && at_once(socket));
        let (broken, acknowledged, buffer) = (false, None, Vec::new());
        Self { socket: ready, broken, sent: 0, received: 0, buffer, datagrams, acknowledged }
    }

    /// Sends so many messages in one write.
    fn send(&mut self, together: u64) {
        let Some(socket) = &self.socket else { return };
        let numbers = self.sent + 1..=self.sent + together;
        self.sent += together;
        let bytes: Vec<u8> = numbers.flat_map(nonce::question).collect();
        let write = || (&mut &*socket).write(&bytes);
        let Err(error) = write().or_else(|error| if is_told(&error) { write() } else { Err(error) }) else { return };
        // A datagram that the own filter refuses is lost, and the socket lives on.
        self.broken |= error.kind() != ErrorKind::WouldBlock && !self.datagrams;
    }

    fn take(&mut self) {
        let Some(socket) = &self.socket else { return };
        let mut bytes = [0; MOST_AT_ONCE];
        match (&mut &*socket).read(&mut bytes) {
            Ok(0) if !self.datagrams => self.broken = true,
            Ok(length) => self.buffer.extend(&bytes[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.broken |= !self.datagrams,
        }
        while self.buffer.len() >= nonce::LENGTH {
            let message: Vec<u8> = self.buffer.drain(..nonce::LENGTH).collect();
            self.received += u64::from(nonce::asked(&message).is_some());
        }
    }
}

/// Whether a socket tells, instead of sending, what fits the path by somebody's word: what is sent again is cut to that.
fn is_told(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::EMSGSIZE as i32)
}

/// A datagram socket for one client alone: the kernel prefers it to the probes' listener at the same place.
fn answering_socket((address, service): Place, client: SocketAddr) -> io::Result<Socket> {
    let FlowService::Udp(port) = service else { return Err(ErrorKind::Unsupported.into()) };
    let socket = socket(address, Type::DGRAM)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(SocketAddr::new(address, port)))?;
    socket.connect(&SockAddr::from(client))?;
    Ok(socket)
}

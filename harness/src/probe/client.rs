//! The client's side of one TCP or UDP probe: a socket that asks once and learns what comes of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use policy::FlowService;
use socket2::{SockAddr, Socket, Type};

use super::listener::socket;
use super::ports::Ports;
use super::speech::Asking;
use crate::evidence::Client as Learned;
use crate::scenario::Speech;

/// How many occupied ports are passed over for one probe.
const PORT_TRIES: usize = 64;
/// How much one look takes in: more than an answer has.
const AT_ONCE: usize = 1 << 14;

/// A client's socket, bound to a source port of its own.
#[derive(Debug)]
pub(crate) struct Client {
    socket: Socket,
    target: SocketAddr,
    tcp: bool,
    speech: Speech,
    /// What it says and hears, once it may.
    asking: Option<Asking>,
    /// What it has still to say.
    unsaid: Vec<u8>,
    /// How often anything went or came.
    pub(crate) moves: u64,
    /// Its source port.
    pub(crate) port: u16,
}

impl Client {
    /// Makes a socket in the calling thread's namespace; `None` for protocols without ports.
    pub(crate) fn new(
        ports: &mut Ports,
        (from, to): (IpAddr, IpAddr),
        service: FlowService,
        speech: Speech,
    ) -> Option<io::Result<Self>> {
        let (kind, port) = match service {
            FlowService::Tcp(port) => (Type::STREAM, port),
            FlowService::Udp(port) => (Type::DGRAM, port),
            FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => return None,
        };
        let target = SocketAddr::new(to, port);
        let made = bound(ports, from, kind);
        Some(made.map(|(socket, port)| Self { port, ..Self::on(socket, target, speech) }))
    }

    /// A client on a listener's own address, for its self-test.
    pub(crate) fn loopback(address: IpAddr, service: FlowService, speech: Speech) -> Option<io::Result<Self>> {
        let (kind, port) = match service {
            FlowService::Tcp(port) => (Type::STREAM, port),
            FlowService::Udp(port) => (Type::DGRAM, port),
            FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => return None,
        };
        let made = socket(address, kind).and_then(|socket| {
            socket.bind(&SockAddr::from(SocketAddr::new(address, 0)))?;
            Ok(socket)
        });
        let target = SocketAddr::new(address, port);
        Some(made.map(|socket| Self::on(socket, target, speech)))
    }

    fn on(socket: Socket, target: SocketAddr, speech: Speech) -> Self {
        let tcp = socket.r#type().is_ok_and(|kind| kind == Type::STREAM);
        Self { socket, target, tcp, speech, asking: None, unsaid: Vec::new(), moves: 0, port: 0 }
    }

    /// Sends the first packet. An answer that is there at once is told.
    pub(crate) fn start(&mut self, id: u64) -> Option<Learned> {
        match self.socket.connect(&SockAddr::from(self.target)) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
            Err(error) => return Some(classify(&error, false)),
        }
        self.ask(id)
    }

    /// Looks once at what has come.
    pub(crate) fn look(&mut self, id: u64) -> Option<Learned> {
        let Some(asking) = self.asking.as_mut().filter(|_| self.unsaid.is_empty()) else { return self.ask(id) };
        let mut buffer = [0; AT_ONCE];
        match (&self.socket).read(&mut buffer) {
            Ok(0) if self.tcp => Some(Learned::Reset),
            Ok(length) => {
                self.moves += 1;
                let (say, answered) = asking.hear(&buffer[..length]);
                self.unsaid = say;
                if answered { Some(Learned::Answered) } else { self.ask(id) }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(classify(&error, self.tcp)),
        }
    }

    /// Ends an undecided probe at once: while the handshake is under way nothing is sent, and nothing is sent again.
    pub(crate) fn abort(self) {
        // Only a packet more would be seen if it failed.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Connects and hands over the socket, for a session that goes on with it.
    pub(crate) fn connect(self) -> io::Result<Socket> {
        match self.socket.connect(&SockAddr::from(self.target)) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
            Ok(()) | Err(_) => Ok(self.socket),
        }
    }

    /// Says what is to be said.
    fn ask(&mut self, id: u64) -> Option<Learned> {
        if self.asking.is_none() {
            match Asking::begin(self.speech, id) {
                Ok((asking, first)) => (self.asking, self.unsaid) = (Some(asking), first),
                Err(why) => return Some(Learned::Failed(why)),
            }
        }
        if self.unsaid.is_empty() {
            return None;
        }
        match (&self.socket).write(&self.unsaid) {
            Ok(length) => {
                self.moves += 1;
                self.unsaid.drain(..length);
                None
            }
            // The handshake is under way.
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(classify(&error, false)),
        }
    }
}

fn bound(ports: &mut Ports, from: IpAddr, kind: Type) -> io::Result<(Socket, u16)> {
    for _ in 0..PORT_TRIES {
        let Some(port) = ports.take(from) else { break };
        let socket = socket(from, kind)?;
        match socket.bind(&SockAddr::from(SocketAddr::new(from, port))) {
            Ok(()) => return Ok((socket, port)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::AddrInUse, "no source port is left"))
}

/// What an error of the socket means. A reset after the connection stood is no refusal.
pub(super) fn classify(error: &io::Error, established: bool) -> Learned {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    if errno == Errno::ECONNREFUSED {
        Learned::Refused
    } else if errno == Errno::ECONNRESET || (established && errno == Errno::EPIPE) {
        Learned::Reset
    } else {
        Learned::Unreachable(format!("{errno:?}"))
    }
}

//! Listeners: one per probed address and service, made before the first probe and proven over loopback in each state.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

use lab::Station;
use policy::FlowService;
use socket2::{Domain, SockAddr, Socket, Type};

use super::speech::Answering;
use crate::scenario::Speech;

/// Most connections or datagrams that one look takes; what is left waits for the next look.
const MOST_AT_ONCE: usize = 256;
const BACKLOG: i32 = 512;
/// How much one look takes of what one client has said: more than a question has.
const AT_ONCE: usize = 1 << 12;

/// Where a listener stands.
pub(crate) type Place = (IpAddr, FlowService);

/// The listeners for TCP and UDP.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    all: HashMap<Place, Listener>,
    /// What is spoken where, if it is not the probes' own.
    pub(crate) speeches: HashMap<Place, Speech>,
    /// How often anything came to one of them.
    pub(crate) moves: u64,
    /// They answer nothing.
    pub(crate) mute: bool,
}

#[derive(Debug)]
enum Listener {
    Tcp { socket: TcpListener, open: Vec<(TcpStream, Answering)> },
    Udp(UdpSocket),
}

impl Listeners {
    /// Makes sure that a station listens at a place.
    pub(crate) fn open(&mut self, station: &Station, place: Place) -> io::Result<()> {
        match self.all.entry(place) {
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(vacant) => {
                vacant.insert(station.enter(|| Listener::open(place)).map_err(io::Error::other)??);
                Ok(())
            }
        }
    }

    /// Closes the listeners of an address.
    pub(crate) fn close(&mut self, address: IpAddr) {
        self.all.retain(|(own, _), _| *own != address);
    }

    /// Leaves a place to others.
    pub(crate) fn leave(&mut self, place: Place) {
        self.all.remove(&place);
    }

    /// What is spoken at a place.
    pub(crate) fn speech(&self, place: Place) -> Speech {
        self.speeches.get(&place).copied().unwrap_or_default()
    }

    /// Takes what has come to a place, answers it, and says whose questions it was.
    pub(crate) fn serve(&mut self, place: Place) -> Vec<u64> {
        let speech = self.speech(place);
        let (delivered, moves) = match self.all.get_mut(&place) {
            Some(Listener::Tcp { socket, open }) => serve_tcp(socket, open, speech, self.mute),
            Some(Listener::Udp(socket)) => serve_udp(socket, speech, self.mute),
            None => return Vec::new(),
        };
        self.moves += moves;
        delivered
    }

    /// Hands over the connection of one client, for a session that keeps it.
    pub(crate) fn accept(&mut self, place: Place, client: SocketAddr) -> Option<TcpStream> {
        let speech = self.speech(place);
        match self.all.get_mut(&place) {
            Some(Listener::Tcp { socket, open }) => {
                accept_all(socket, open, speech);
                let at = open.iter().position(|(stream, _)| stream.peer_addr().is_ok_and(|peer| peer == client))?;
                Some(open.swap_remove(at).0)
            }
            Some(Listener::Udp(_)) | None => None,
        }
    }
}

impl Listener {
    fn open((address, service): Place) -> io::Result<Self> {
        match service {
            FlowService::Tcp(port) => {
                let socket = socket(address, Type::STREAM)?;
                socket.set_reuse_address(true)?;
                socket.bind(&SockAddr::from(SocketAddr::new(address, port)))?;
                socket.listen(BACKLOG)?;
                Ok(Self::Tcp { socket: TcpListener::from(socket), open: Vec::new() })
            }
            FlowService::Udp(port) => {
                let socket = socket(address, Type::DGRAM)?;
                // A session's own socket may stand at the same place.
                socket.set_reuse_address(true)?;
                socket.bind(&SockAddr::from(SocketAddr::new(address, port)))?;
                Ok(Self::Udp(UdpSocket::from(socket)))
            }
            FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => {
                Err(io::Error::new(ErrorKind::Unsupported, "a raw protocol has no listener"))
            }
        }
    }
}

/// A non-blocking socket of an address's family in the calling thread's namespace.
pub(crate) fn socket(address: IpAddr, kind: Type) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, kind.nonblocking().cloexec(), None)
}

fn accept_all(socket: &TcpListener, open: &mut Vec<(TcpStream, Answering)>, speech: Speech) {
    for _ in 0..MOST_AT_ONCE {
        let Ok((stream, _)) = socket.accept() else { break };
        // What cannot be spoken is not answered: the listener's self-test tells.
        let Ok(answering) = Answering::begin(speech) else { break };
        if stream.set_nonblocking(true).is_ok() {
            open.push((stream, answering));
        }
    }
}

fn serve_tcp(
    socket: &TcpListener,
    open: &mut Vec<(TcpStream, Answering)>,
    speech: Speech,
    mute: bool,
) -> (Vec<u64>, u64) {
    accept_all(socket, open, speech);
    let (mut delivered, mut moves) = (Vec::new(), 0);
    open.retain_mut(|(stream, answering)| {
        let mut buffer = [0; AT_ONCE];
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => {
                moves += 1;
                let (say, asked) = answering.hear(&buffer[..length]);
                delivered.extend(asked);
                mute || stream.write_all(&say).is_ok()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Ok(0) | Err(_) => {
                // The client has closed: an orderly end, so that no reset of ours is met by "no known flow".
                let _ = stream.shutdown(Shutdown::Both);
                false
            }
        }
    });
    (delivered, moves)
}

fn serve_udp(socket: &UdpSocket, speech: Speech, mute: bool) -> (Vec<u64>, u64) {
    let (mut delivered, mut moves) = (Vec::new(), 0);
    for _ in 0..MOST_AT_ONCE {
        let mut buffer = [0; AT_ONCE];
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                moves += 1;
                let Ok(mut answering) = Answering::begin(speech) else { continue };
                let (say, asked) = answering.hear(&buffer[..length]);
                delivered.extend(asked);
                if !mute && !say.is_empty() {
                    // A lost answer shows as one: the client then hears nothing.
                    let _ = socket.send_to(&say, from);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // An ICMP error for an earlier answer; the next look reads on.
            Err(_) => {}
        }
    }
    (delivered, moves)
}

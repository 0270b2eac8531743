//! Raw IP sockets: ICMP and bare protocols have no listener to accept, so one socket per address and protocol serves
//! both as client and as listener. The kernel answers echo requests by itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use lab::Station;
use nix::sys::socket::{SockaddrStorage, recvfrom};
use policy::{FlowService, Protocol};
use socket2::{Domain, SockAddr, Socket, Type};

use super::nonce;

/// Most datagrams that one look takes from a socket; what is left waits for the next look.
const MOST_AT_ONCE: usize = 256;
const ICMP_ECHO_REPLY: u8 = 0;
const ICMPV6_ECHO_REPLY: u8 = 129;

/// What a raw socket heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A probe's question arrived.
    Question(u64),
    /// A probe's answer came back.
    Answer(u64),
}

/// The sockets.
#[derive(Debug, Default)]
pub(crate) struct RawSockets(HashMap<(IpAddr, Protocol), Socket>);

impl RawSockets {
    /// Makes sure that a station has a socket for a protocol on an address.
    pub(crate) fn open(&mut self, station: &Station, address: IpAddr, protocol: Protocol) -> io::Result<()> {
        match self.0.entry((address, protocol)) {
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(place) => {
                let socket = station.enter(|| bound(address, protocol)).map_err(io::Error::other)??;
                place.insert(socket);
                Ok(())
            }
        }
    }

    /// Closes the sockets of an address.
    pub(crate) fn close(&mut self, address: IpAddr) {
        self.0.retain(|(own, _), _| *own != address);
    }

    /// Sends a probe's question.
    pub(crate) fn ask(&self, ask: &Ask) -> io::Result<()> {
        let socket = self.0.get(&(ask.from, ask.service.protocol())).ok_or(io::ErrorKind::NotConnected)?;
        let message = ask.message();
        socket.send_to(&message, &SockAddr::from(SocketAddr::new(ask.to, 0))).map(drop)
    }

    /// Takes what has come to an address, and answers the questions that the kernel does not answer.
    pub(crate) fn hear(&self, address: IpAddr, protocol: Protocol) -> Vec<Heard> {
        let Some(socket) = self.0.get(&(address, protocol)) else { return Vec::new() };
        let mut heard = Vec::new();
        for _ in 0..MOST_AT_ONCE {
            let mut buffer = [0; 256];
            let Ok((length, from)) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), &mut buffer) else { break };
            let word = understand(&buffer[..length.min(256)], address.is_ipv4(), protocol);
            if let (Some(Heard::Question(id)), Protocol::Other(_), Some(from)) = (word, protocol, from.and_then(ip)) {
                // A lost answer shows as one: the client then hears nothing.
                let _ = socket.send_to(&nonce::answer(id), &SockAddr::from(SocketAddr::new(from, 0)));
            }
            heard.extend(word);
        }
        heard
    }
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// The probe's number.
    pub(crate) id: u64,
    /// The ICMP identifier.
    pub(crate) identifier: u16,
    /// The source address.
    pub(crate) from: IpAddr,
    /// The destination address.
    pub(crate) to: IpAddr,
    /// What is asked for.
    pub(crate) service: FlowService,
}

impl Ask {
    fn message(&self) -> Vec<u8> {
        let question = nonce::question(self.id);
        match self.service {
            FlowService::Icmp(kind) => {
                let mut message = icmp_header(kind, self.identifier);
                message.extend(question);
                let sum = checksum(&message);
                message[2..4].copy_from_slice(&sum.to_be_bytes());
                message
            }
            FlowService::Icmpv6(kind) => {
                // The kernel fills in the checksum of ICMPv6.
                let mut message = icmp_header(kind, self.identifier);
                message.extend(question);
                message
            }
            FlowService::Proto(_) | FlowService::Tcp(_) | FlowService::Udp(_) => question.to_vec(),
        }
    }
}

fn icmp_header(kind: u8, identifier: u16) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    vec![kind, 0, 0, 0, high, low, 0, 1]
}

fn bound(address: IpAddr, protocol: Protocol) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let number = i32::from(protocol.number());
    let socket = Socket::new(domain, Type::RAW, Some(socket2::Protocol::from(number)))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(SocketAddr::new(address, 0)))?;
    Ok(socket)
}

fn ip(address: SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

fn understand(bytes: &[u8], v4: bool, protocol: Protocol) -> Option<Heard> {
    let header = if v4 { usize::from(bytes.first()? & 0xf) * 4 } else { 0 };
    let message = bytes.get(header..)?;
    match protocol {
        Protocol::Icmp => icmp(message, ICMP_ECHO_REPLY),
        Protocol::Icmpv6 => icmp(message, ICMPV6_ECHO_REPLY),
        Protocol::Tcp | Protocol::Udp | Protocol::Other(_) => {
            let question = nonce::asked(message).map(Heard::Question);
            question.or_else(|| nonce::answered(message).map(Heard::Answer))
        }
    }
}

/// An echo's answer carries the question's own payload.
fn icmp(message: &[u8], reply: u8) -> Option<Heard> {
    let id = nonce::asked(message.get(8..)?)?;
    let kind = *message.first()?;
    Some(if kind == reply { Heard::Answer(id) } else { Heard::Question(id) })
}

/// The Internet checksum of an even number of bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

//! Reads the head of a logged packet: whose flow it belongs to, and what identifies it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::Protocol;

/// How much of a payload a record keeps.
const PAYLOAD: usize = 32;
/// How many extension headers are looked past.
const EXTENSIONS: usize = 8;

/// What stands for ARP, which is no IP protocol: a number that no IP packet ends in.
pub const ARP: Protocol = Protocol::Other(0);
/// How an ARP packet about IPv4 on Ethernet begins.
const ARP_HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// A packet's head, as it crossed the hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The sender's port, or 0.
    pub source_port: u16,
    /// The receiver's port, or 0.
    pub destination_port: u16,
    /// ICMP's type, or 0.
    pub icmp_type: u8,
    /// ICMP's identifier, or 0.
    pub icmp_id: u16,
    /// TCP's sequence number.
    pub tcp_sequence: Option<u32>,
    /// The first bytes of the payload.
    pub payload: Vec<u8>,
}

/// Reads a packet that begins with its IP header; `None` if too little of it is there.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Packet> {
    let whole = read_head(bytes)?;
    if !is_error(&whole) {
        return Some(whole);
    }
    // An ICMP error belongs to the flow whose packet it quotes, and goes against that packet's direction.
    let quoted = error_body(bytes).and_then(read_head);
    Some(quoted.map_or(whole, reversed))
}

/// The same head seen from the other side.
#[must_use]
pub fn reversed(packet: Packet) -> Packet {
    let Packet {
        source,
        destination,
        protocol,
        source_port,
        destination_port,
        icmp_type,
        icmp_id,
        tcp_sequence,
        payload,
    } = packet;
    Packet {
        source: destination,
        destination: source,
        protocol,
        source_port: destination_port,
        destination_port: source_port,
        icmp_type,
        icmp_id,
        tcp_sequence,
        payload,
    }
}

/// The type of the request that a type of answer answers; other types stand for themselves.
#[must_use]
pub fn request_type(protocol: Protocol, icmp_type: u8) -> u8 {
    match (protocol, icmp_type) {
        (Protocol::Icmp, 0) => 8,
        (Protocol::Icmp, 14) => 13,
        (Protocol::Icmp, 16) => 15,
        (Protocol::Icmp, 18) => 17,
        (Protocol::Icmpv6, 129) => 128,
        _ => icmp_type,
    }
}

fn read_head(bytes: &[u8]) -> Option<Packet> {
    match bytes.first()? >> 4 {
        4 => read_v4(bytes),
        6 => read_v6(bytes),
        _ => read_arp(bytes),
    }
}

/// Who asks, of whom.
fn read_arp(bytes: &[u8]) -> Option<Packet> {
    let rest = bytes.strip_prefix(&ARP_HEAD)?;
    let address = |at: usize| rest.get(at..at + 4)?.try_into().ok().map(|raw: [u8; 4]| IpAddr::V4(Ipv4Addr::from(raw)));
    Some(read_transport((address(8)?, address(18)?), 0, bytes))
}

fn read_v4(bytes: &[u8]) -> Option<Packet> {
    let length = usize::from(bytes[0] & 0xf) * 4;
    let address =
        |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(|raw: [u8; 4]| IpAddr::V4(Ipv4Addr::from(raw)));
    let (source, destination) = (address(12)?, address(16)?);
    let number = *bytes.get(9)?;
    let first = number_at(bytes, 6)? & 0x1fff == 0;
    let rest = if first { bytes.get(length..).unwrap_or_default() } else { &[] };
    Some(read_transport((source, destination), number, rest))
}

fn read_v6(bytes: &[u8]) -> Option<Packet> {
    let address =
        |at: usize| bytes.get(at..at + 16)?.try_into().ok().map(|raw: [u8; 16]| IpAddr::V6(Ipv6Addr::from(raw)));
    let (source, destination) = (address(8)?, address(24)?);
    let (number, at) = past_extensions(bytes, *bytes.get(6)?);
    Some(read_transport((source, destination), number, bytes.get(at..).unwrap_or_default()))
}

/// The transport protocol of an IPv6 packet, and where it begins.
fn past_extensions(bytes: &[u8], mut next: u8) -> (u8, usize) {
    let mut at = 40;
    for _ in 0..EXTENSIONS {
        let Some(&[after, length]) = bytes.get(at..at + 2) else { break };
        match next {
            0 | 43 | 60 => at += 8 + usize::from(length) * 8,
            44 => at += 8,
            51 => at += 8 + usize::from(length) * 4,
            _ => break,
        }
        next = after;
    }
    (next, at)
}

fn read_transport((source, destination): (IpAddr, IpAddr), number: u8, bytes: &[u8]) -> Packet {
    let protocol = match number {
        1 => Protocol::Icmp,
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        58 => Protocol::Icmpv6,
        other => Protocol::Other(other),
    };
    let mut packet = Packet {
        source,
        destination,
        protocol,
        source_port: 0,
        destination_port: 0,
        icmp_type: 0,
        icmp_id: 0,
        tcp_sequence: None,
        payload: Vec::new(),
    };
    let ports = |packet: &mut Packet| {
        packet.source_port = number_at(bytes, 0).unwrap_or(0);
        packet.destination_port = number_at(bytes, 2).unwrap_or(0);
    };
    let payload = |from: usize| bytes.get(from..).unwrap_or_default().iter().copied().take(PAYLOAD).collect();
    match protocol {
        Protocol::Tcp => {
            ports(&mut packet);
            packet.tcp_sequence = bytes.get(4..8).and_then(|raw| raw.try_into().ok()).map(u32::from_be_bytes);
        }
        Protocol::Udp => {
            ports(&mut packet);
            packet.payload = payload(8);
        }
        Protocol::Icmp | Protocol::Icmpv6 => {
            packet.icmp_type = bytes.first().copied().unwrap_or(0);
            packet.icmp_id = number_at(bytes, 4).unwrap_or(0);
            packet.payload = payload(8);
        }
        Protocol::Other(_) => packet.payload = payload(0),
    }
    packet
}

fn number_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Whether it is an ICMP error, which quotes another packet.
fn is_error(packet: &Packet) -> bool {
    match packet.protocol {
        Protocol::Icmp => matches!(packet.icmp_type, 3 | 4 | 5 | 11 | 12),
        Protocol::Icmpv6 => matches!(packet.icmp_type, 1..=4),
        Protocol::Tcp | Protocol::Udp | Protocol::Other(_) => false,
    }
}

/// The packet that an ICMP error quotes.
fn error_body(bytes: &[u8]) -> Option<&[u8]> {
    let at = match bytes.first()? >> 4 {
        4 => usize::from(bytes[0] & 0xf) * 4,
        _ => past_extensions(bytes, *bytes.get(6)?).1,
    };
    bytes.get(at + 8..)
}

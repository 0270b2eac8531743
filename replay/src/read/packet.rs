//! The headers of one captured packet: link, IP with its extension headers, and the ports or the ICMP type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::FlowService;

use super::capture::Order;
use crate::account::{Note, Wrong};
use crate::seen::service;

/// The most VLAN tags of a frame.
const MOST_TAGS: usize = 4;
/// The most extension headers of an IPv6 packet.
const MOST_EXTENSIONS: usize = 16;
const BIG: Order = Order { big: true };

/// What a packet's first bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Link {
    /// Ethernet.
    Ethernet,
    /// IP itself.
    Raw,
    /// Linux' `any` interface.
    Cooked,
    /// The same, version 2.
    Cooked2,
    /// BSD's loopback: the family in four bytes, in this order.
    Loopback(Order),
}

impl Link {
    /// The kind of link by its number, in a capture whose numbers stand in this order.
    pub(super) fn of(number: u16, order: Order) -> Option<Self> {
        match number {
            0 => Some(Self::Loopback(order)),
            1 => Some(Self::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            108 => Some(Self::Loopback(BIG)),
            113 => Some(Self::Cooked),
            276 => Some(Self::Cooked2),
            _ => None,
        }
    }
}

/// What the headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// What the destination is asked for.
    pub(super) service: FlowService,
    /// Source and destination port; of ICMP its identifier.
    pub(super) ports: (u16, u16),
    /// TCP's flags.
    pub(super) flags: u8,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A packet of a flow.
    Packet(Headers),
    /// One that is passed over.
    Noted(Note),
    /// One that is wrong in itself.
    Wrong(Wrong),
}

/// Reads the headers of a packet.
pub(super) fn decode(link: Link, bytes: &[u8]) -> Decoded {
    match inner(link, bytes) {
        Ok(ip) => match ip.first().map(|byte| byte >> 4) {
            Some(4) => v4(ip),
            Some(6) => v6(ip),
            Some(_) => Decoded::Noted(Note::NotIp),
            None => Decoded::Noted(Note::Short),
        },
        Err(note) => Decoded::Noted(note),
    }
}

/// The IP packet behind the link's header.
fn inner(link: Link, bytes: &[u8]) -> Result<&[u8], Note> {
    let (mut kind, mut at) = match link {
        Link::Raw => return Ok(bytes),
        Link::Loopback(order) => {
            // 2 is IPv4 everywhere; IPv6's number is each system's own.
            let family = order.u32(bytes, 0);
            return if matches!(family, 2 | 10 | 24 | 28 | 30) { behind(bytes, 4) } else { Err(Note::NotIp) };
        }
        Link::Ethernet => (BIG.u16(bytes, 12), 14),
        Link::Cooked => (BIG.u16(bytes, 14), 16),
        Link::Cooked2 => (BIG.u16(bytes, 0), 20),
    };
    if bytes.len() < at {
        return Err(Note::Short);
    }
    for _ in 0..MOST_TAGS {
        match kind {
            0x0800 | 0x86dd => return behind(bytes, at),
            0x8100 | 0x88a8 | 0x9100 => {
                kind = BIG.u16(bytes, at + 2);
                at += 4;
            }
            _ => return Err(Note::NotIp),
        }
    }
    if matches!(kind, 0x0800 | 0x86dd) { behind(bytes, at) } else { Err(Note::NotIp) }
}

fn behind(bytes: &[u8], at: usize) -> Result<&[u8], Note> {
    bytes.get(at..).ok_or(Note::Short)
}

fn v4(ip: &[u8]) -> Decoded {
    let Some(header) = ip.first_chunk::<20>() else { return Decoded::Noted(Note::Short) };
    let length = usize::from(header[0] & 15) * 4;
    if length < 20 {
        return Decoded::Wrong(Wrong::Whole("an IPv4 header shorter than it may be"));
    }
    if BIG.u16(header, 6) & 0x1fff != 0 {
        return Decoded::Noted(Note::Fragment);
    }
    let at = |from: usize| IpAddr::V4(Ipv4Addr::from(BIG.u32(header, from)));
    transport(header[9], (at(12), at(16)), ip.get(length..).unwrap_or_default())
}

fn v6(ip: &[u8]) -> Decoded {
    let Some(header) = ip.first_chunk::<40>() else { return Decoded::Noted(Note::Short) };
    let at = |from: usize| {
        let found: [u8; 16] = header.get(from..from + 16).and_then(|all| all.try_into().ok()).unwrap_or_default();
        IpAddr::V6(Ipv6Addr::from(found))
    };
    let (mut next, mut place) = (header[6], 40);
    for _ in 0..=MOST_EXTENSIONS {
        let rest = ip.get(place..).unwrap_or_default();
        let length = match next {
            0 | 43 | 60 | 135 | 139 | 140 => rest.get(1).map(|units| (usize::from(*units) + 1) * 8),
            51 => rest.get(1).map(|units| (usize::from(*units) + 2) * 4),
            44 if BIG.u16(rest, 2) & 0xfff8 != 0 => return Decoded::Noted(Note::Fragment),
            44 => Some(8),
            _ => return transport(next, (at(8), at(24)), rest),
        };
        let (Some(length), Some(following)) = (length, rest.first()) else { return Decoded::Noted(Note::Short) };
        next = *following;
        place += length;
    }
    Decoded::Wrong(Wrong::Whole("more extension headers than are walked"))
}

fn transport(protocol: u8, (source, destination): (IpAddr, IpAddr), rest: &[u8]) -> Decoded {
    let needed = match protocol {
        6 => 14,
        1 | 58 => 8,
        17 => 4,
        _ => 0,
    };
    if rest.len() < needed {
        return Decoded::Noted(Note::Short);
    }
    let icmp = matches!(protocol, 1 | 58);
    let (ports, asked) = match protocol {
        6 | 17 => ((BIG.u16(rest, 0), BIG.u16(rest, 2)), BIG.u16(rest, 2)),
        _ if icmp => ((BIG.u16(rest, 4), 0), rest.first().copied().unwrap_or_default().into()),
        _ => ((0, 0), 0),
    };
    let flags = if protocol == 6 { rest.get(13).copied().unwrap_or_default() } else { 0 };
    match service(protocol, asked, destination) {
        Some(service) => Decoded::Packet(Headers { source, destination, service, ports, flags }),
        None => Decoded::Wrong(super::NO_SUCH_ICMP),
    }
}

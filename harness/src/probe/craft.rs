//! Crafted packets as bytes: what no well-behaved program sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lab::Mac;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, MutableEthernetPacket};
use pnet::packet::icmpv6::{self, Icmpv6Packet};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::{self, MutableIpv4Packet};
use pnet::packet::ipv6::MutableIpv6Packet;
use pnet::packet::tcp::{self, MutableTcpPacket, TcpFlags};
use pnet::packet::udp::{self, MutableUdpPacket};

use super::errors;
use super::tuple::Tuple;
use crate::scenario::{Crafted, Extension, Fragments, Shape};

/// The ports that crafted packets leave from: above those of probes and of the VMs' own programs.
const FIRST_PORT: u16 = 64_901;
const PORTS: u32 = 80;
const ETHERNET: usize = 14;
const TTL: u8 = 64;
/// What neighbours take: a packet that no router passed on.
const FROM_NEIGHBOUR: u8 = 255;
/// Behind a TCP or UDP header, to this length of both.
const TRANSPORT: usize = 40;
/// Fragments are cut at multiples of this.
const UNIT: usize = 8;

/// Between whom packets go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// The addresses of source and destination, of one family.
    pub(crate) addresses: (IpAddr, IpAddr),
    /// Their link-layer addresses.
    pub(crate) macs: (Mac, Mac),
    /// The flow that an error quotes, and of TCP how far the one who is told of it has sent it.
    pub(crate) quoted: Option<(Tuple, u32)>,
}

/// A packet with what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// From the network's header on.
    pub(crate) bytes: Vec<u8>,
    kind: EtherType,
}

impl Packet {
    /// The whole frame.
    pub(crate) fn frame(&self, ends: &Ends) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET];
        if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
            ethernet.set_source(ends.macs.0.into());
            ethernet.set_destination(ends.macs.1.into());
            ethernet.set_ethertype(self.kind);
        }
        frame.extend(&self.bytes);
        frame
    }

    fn ip(bytes: Vec<u8>, v4: bool) -> Self {
        Self { bytes, kind: if v4 { EtherTypes::Ipv4 } else { EtherTypes::Ipv6 } }
    }
}

/// The packets, and the tuples by which records may tell of them.
pub(crate) fn craft(crafted: &Crafted, ends: &Ends, times: u32) -> (Vec<Packet>, Vec<Tuple>) {
    let (mut packets, mut tuples) = (Vec::new(), Vec::new());
    for nth in 0..times {
        match (crafted.shape, ends.addresses) {
            (Shape::Arp(claimed), (_, IpAddr::V4(to))) => {
                packets.push(arp(claimed, to, ends));
                tuples.push(tuple((claimed.into(), to.into()), NO_PROTOCOL, (0, 0)));
            }
            (Shape::Neighbour(claimed), (_, IpAddr::V6(to))) => {
                packets.push(advertisement(claimed, to, ends));
                // Where an echo has its identifier, this has its flags.
                let identifiers = [0, u16::from_be_bytes([FLAGS, 0])];
                let addresses = (claimed.into(), to.into());
                let one = |from| tuple(addresses, IpNextHeaderProtocols::Icmpv6.0, (from, u16::from(ADVERTISEMENT)));
                tuples.extend(identifiers.map(one));
            }
            (Shape::Arp(_) | Shape::Neighbour(_), _) => {}
            (Shape::Error(error), _) => {
                let (bytes, told) = errors::error(error, ends);
                packets.push(Packet::ip(bytes, ends.addresses.0.is_ipv4()));
                tuples.extend(told);
            }
            (Shape::Syn(ports) | Shape::MidStream(ports) | Shape::Udp(ports), _) => {
                let from = FIRST_PORT + u16::try_from(nth % PORTS).unwrap_or(0);
                for to in ports.first..=ports.last {
                    let one = Segment::of(crafted, ends, (from, to));
                    packets.extend(one.packets(crafted));
                    // What is told of a later fragment has no ports.
                    tuples.extend([(from, to), (0, 0)].map(|ports| tuple(one.addresses, one.protocol.0, ports)));
                }
            }
        }
    }
    (packets, tuples)
}

fn tuple((source, destination): (IpAddr, IpAddr), protocol: u8, (from, to): (u16, u16)) -> Tuple {
    Tuple { source, destination, protocol, from, to }
}

/// A transport's message with what goes around it.
struct Segment {
    addresses: (IpAddr, IpAddr),
    protocol: IpNextHeaderProtocol,
    bytes: Vec<u8>,
}

impl Segment {
    fn of(crafted: &Crafted, ends: &Ends, ports: (u16, u16)) -> Self {
        let addresses = (crafted.spoofed.unwrap_or(ends.addresses.0), ends.addresses.1);
        let flags = match crafted.shape {
            Shape::Syn(_) => Some(TcpFlags::SYN),
            Shape::MidStream(_) => Some(TcpFlags::ACK | TcpFlags::PSH),
            Shape::Udp(_) | Shape::Arp(_) | Shape::Neighbour(_) | Shape::Error(_) => None,
        };
        let wrong = if crafted.bad_checksum { 0x5555 } else { 0 };
        let (protocol, bytes) = match flags {
            Some(flags) => (IpNextHeaderProtocols::Tcp, segment(addresses, ports, flags, wrong)),
            None => (IpNextHeaderProtocols::Udp, datagram(addresses, ports, wrong)),
        };
        Self { addresses, protocol, bytes }
    }

    fn packets(&self, crafted: &Crafted) -> Vec<Packet> {
        // What each hop reads stands before a fragment's header, the rest behind it.
        let is_before = |header: &&Extension| matches!(header, Extension::HopByHop | Extension::Routing);
        let (before, behind): (Vec<&Extension>, Vec<&Extension>) = crafted.headers.iter().partition(is_before);
        let (first, body) = chain(&behind, (self.protocol.0, &self.bytes));
        let end = body.len();
        let parts: &[(usize, usize)] = match crafted.fragments {
            None => return vec![self.packet(&before, (first, &body), None)],
            Some(Fragments::TinyFirst) => &[(0, UNIT), (UNIT, end)],
            Some(Fragments::LaterOnly) => &[(UNIT, end)],
            Some(Fragments::Overlapping) => &[(0, 2 * UNIT), (UNIT, end)],
        };
        let part = |&(from, to): &(usize, usize)| {
            let offset = u16::try_from(from / UNIT).unwrap_or(0);
            let payload = body.get(from..to).unwrap_or_default();
            self.packet(&before, (first, payload), Some((offset, to < end)))
        };
        parts.iter().map(part).collect()
    }

    /// One packet; of a fragment its offset in units, and whether more follow.
    fn packet(&self, before: &[&Extension], (first, payload): (u8, &[u8]), fragment: Option<(u16, bool)>) -> Packet {
        match self.addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => Packet::ip(v4((from, to), self.protocol, fragment, payload), true),
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let (first, payload) = match fragment {
                    Some((offset, more)) => (FRAGMENT, fragment_header(first, offset << 3 | u16::from(more), payload)),
                    None => (first, payload.to_vec()),
                };
                let (first, body) = chain(before, (first, &payload));
                Packet::ip(v6((from, to), IpNextHeaderProtocol::new(first), TTL, &body), false)
            }
            // The scenario's reader lets no such pair through.
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Packet::ip(Vec::new(), true),
        }
    }
}

/// The number of a fragment's header.
const FRAGMENT: u8 = 44;
/// A padding option that fills the rest of eight bytes.
const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];

/// Extension headers before what stands behind them, and the number of the first.
fn chain(headers: &[&Extension], (next, payload): (u8, &[u8])) -> (u8, Vec<u8>) {
    let mut made = (next, payload.to_vec());
    for header in headers.iter().rev() {
        let (next, payload) = &made;
        let (number, rest) = match header {
            Extension::HopByHop => (0, PADDING),
            // Nothing of the way is left.
            Extension::Routing => (43, [0; 6]),
            Extension::Destination => (60, PADDING),
            Extension::Fragment => {
                made = (FRAGMENT, fragment_header(*next, 0, payload));
                continue;
            }
        };
        made = (number, [[*next, 0].as_slice(), &rest, payload].concat());
    }
    made
}

fn fragment_header(next: u8, place: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0];
    bytes.extend(place.to_be_bytes());
    bytes.extend(IDENTITY.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The number by which fragments of one packet find each other.
const IDENTITY: u32 = 0xea57;

pub(super) fn v4(
    (from, to): (Ipv4Addr, Ipv4Addr),
    protocol: IpNextHeaderProtocol,
    fragment: Option<(u16, bool)>,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; MutableIpv4Packet::minimum_packet_size()];
    bytes.extend(payload);
    let length = u16::try_from(bytes.len()).unwrap_or(0);
    if let Some(mut packet) = MutableIpv4Packet::new(&mut bytes) {
        packet.set_version(4);
        packet.set_header_length(5);
        packet.set_total_length(length);
        packet.set_identification(u16::try_from(IDENTITY).unwrap_or(1));
        packet.set_ttl(TTL);
        packet.set_next_level_protocol(protocol);
        packet.set_source(from);
        packet.set_destination(to);
        if let Some((offset, more)) = fragment {
            packet.set_fragment_offset(offset);
            packet.set_flags(u8::from(more));
        }
        let sum = ipv4::checksum(&packet.to_immutable());
        packet.set_checksum(sum);
    }
    bytes
}

pub(super) fn v6((from, to): (Ipv6Addr, Ipv6Addr), next: IpNextHeaderProtocol, hops: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; MutableIpv6Packet::minimum_packet_size()];
    bytes.extend(payload);
    if let Some(mut packet) = MutableIpv6Packet::new(&mut bytes) {
        packet.set_version(6);
        packet.set_payload_length(u16::try_from(payload.len()).unwrap_or(0));
        packet.set_next_header(next);
        packet.set_hop_limit(hops);
        packet.set_source(from);
        packet.set_destination(to);
    }
    bytes
}

fn segment(addresses: (IpAddr, IpAddr), (from, to): (u16, u16), flags: u8, wrong: u16) -> Vec<u8> {
    let mut bytes = vec![0; TRANSPORT];
    if let Some(mut packet) = MutableTcpPacket::new(&mut bytes) {
        packet.set_source(from);
        packet.set_destination(to);
        packet.set_sequence(1);
        packet.set_acknowledgement(u32::from(flags & TcpFlags::ACK != 0));
        packet.set_data_offset(5);
        packet.set_flags(flags);
        packet.set_window(1024);
        let sum = match addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => tcp::ipv4_checksum(&packet.to_immutable(), &from, &to),
            (IpAddr::V6(from), IpAddr::V6(to)) => tcp::ipv6_checksum(&packet.to_immutable(), &from, &to),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
        };
        packet.set_checksum(sum ^ wrong);
    }
    bytes
}

fn datagram(addresses: (IpAddr, IpAddr), (from, to): (u16, u16), wrong: u16) -> Vec<u8> {
    let mut bytes = vec![0; TRANSPORT];
    if let Some(mut packet) = MutableUdpPacket::new(&mut bytes) {
        packet.set_source(from);
        packet.set_destination(to);
        packet.set_length(u16::try_from(TRANSPORT).unwrap_or(0));
        let sum = match addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => udp::ipv4_checksum(&packet.to_immutable(), &from, &to),
            (IpAddr::V6(from), IpAddr::V6(to)) => udp::ipv6_checksum(&packet.to_immutable(), &from, &to),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
        };
        // 0 would say that there is none.
        packet.set_checksum(if sum == wrong { !wrong } else { sum ^ wrong });
    }
    bytes
}

fn arp(claimed: Ipv4Addr, to: Ipv4Addr, ends: &Ends) -> Packet {
    let mut bytes = vec![0; MutableArpPacket::minimum_packet_size()];
    if let Some(mut packet) = MutableArpPacket::new(&mut bytes) {
        packet.set_hardware_type(ArpHardwareTypes::Ethernet);
        packet.set_protocol_type(EtherTypes::Ipv4);
        packet.set_hw_addr_len(6);
        packet.set_proto_addr_len(4);
        packet.set_operation(ArpOperations::Reply);
        packet.set_sender_hw_addr(ends.macs.0.into());
        packet.set_sender_proto_addr(claimed);
        packet.set_target_hw_addr(ends.macs.1.into());
        packet.set_target_proto_addr(to);
    }
    Packet { bytes, kind: EtherTypes::Arp }
}

/// What records say of ARP, which has none.
const NO_PROTOCOL: u8 = 0;
/// The type of a neighbour advertisement, and its flags: solicited, and to override what was known.
const ADVERTISEMENT: u8 = 136;
const FLAGS: u8 = 0x60;
/// The option that holds the link-layer address, of one unit.
const LINK_ADDRESS: [u8; 2] = [2, 1];

fn advertisement(claimed: Ipv6Addr, to: Ipv6Addr, ends: &Ends) -> Packet {
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, FLAGS, 0, 0, 0];
    message.extend(claimed.octets());
    message.extend(LINK_ADDRESS);
    message.extend(ends.macs.0);
    let sum = Icmpv6Packet::new(&message).map_or(0, |packet| icmpv6::checksum(&packet, &claimed, &to));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Packet::ip(v6((claimed, to), IpNextHeaderProtocols::Icmpv6, FROM_NEIGHBOUR, &message), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::raw::checksum;

    const V4: (&str, &str) = ("10.98.0.1", "10.98.0.2");
    const V6: (&str, &str) = ("fd98::1", "fd98::2");

    fn made(text: &str, (from, to): (&str, &str), times: u32) -> (Vec<Vec<u8>>, Vec<Tuple>) {
        let ends =
            Ends { addresses: (from.parse().unwrap(), to.parse().unwrap()), macs: ([2; 6], [4; 6]), quoted: None };
        let (packets, tuples) = craft(&Crafted::parse(text).unwrap(), &ends, times);
        (packets.iter().map(|packet| packet.frame(&ends)).collect(), tuples)
    }

    #[test]
    fn a_packet_reads_as_what_it_was_crafted_to_be() {
        let rows = [
            ("syn 22-24", V4, 3, 6, 24, Some(2), false),
            ("syn 22", V6, 1, 6, 22, Some(2), false),
            ("mid-stream 443", V4, 1, 6, 443, Some(24), false),
            ("udp 53", V4, 1, 17, 53, None, false),
            ("udp 53, bad checksum", V6, 1, 17, 53, None, false),
            ("udp 53, fragments later only", V4, 1, 17, 0, None, true),
            ("udp 53, fragments later only", V6, 1, 17, 0, None, true),
            ("syn 22, fragments overlapping", V6, 2, 6, 0, None, true),
            ("na fd98::9", V6, 1, 58, 136 << 8, None, false),
            ("syn 22, hop-by-hop options, destination options, fragment header", V6, 1, 6, 22, Some(2), false),
            ("udp 53, routing header, fragments later only", V6, 1, 17, 0, None, true),
        ];
        for (text, ends, count, protocol, port, flags, later) in rows {
            let (frames, _) = made(text, ends, 1);
            assert_eq!(frames.len(), count, "{text}");
            let last = lab::packet::parse(frames.last().unwrap()).unwrap();
            let seen = (last.protocol, last.destination_port, last.tcp.map(|tcp| tcp.flags), last.later_fragment);
            assert_eq!(seen, (protocol, port, flags, later), "{text}");
        }
    }

    #[test]
    fn tuples_are_those_of_the_frames() {
        for (text, ends) in [
            ("syn 1-5", V4),
            ("udp 53, spoofed source 10.98.0.9", V4),
            ("udp 53, spoofed source fd98::9", V6),
            ("mid-stream 443, fragments later only", V6),
            ("na fd98::9", V6),
        ] {
            let (frames, tuples) = made(text, ends, 2);
            for frame in &frames {
                let seen = Tuple::of_frame(&lab::packet::parse(frame).unwrap());
                assert!(tuples.contains(&seen), "{text}: {seen:?} is none of {tuples:?}");
            }
        }
    }

    /// The checksum over the transport with its pseudo header is 0 where it is right.
    fn sum(frame: &[u8], v4: bool, protocol: u8) -> u16 {
        let (addresses, transport) = if v4 { (26..34, 34) } else { (22..54, 54) };
        let payload = &frame[transport..];
        let mut bytes = frame[addresses].to_vec();
        bytes.extend([0, protocol]);
        bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        checksum(&bytes)
    }

    #[test]
    fn a_checksum_is_wrong_where_it_should_be_and_nowhere_else() {
        let rows = [
            ("udp 53", V4, 17, true),
            ("udp 53", V6, 17, true),
            ("udp 53, bad checksum", V4, 17, false),
            ("syn 22", V4, 6, true),
            ("syn 22, spoofed source fd98::9", V6, 6, true),
            ("syn 22, bad checksum", V6, 6, false),
            ("na fd98::9", V6, 58, true),
        ];
        for (text, ends, protocol, right) in rows {
            let (frames, _) = made(text, ends, 1);
            assert_eq!(sum(&frames[0], ends == V4, protocol) == 0, right, "{text}");
        }
    }

    #[test]
    fn an_arp_answer_claims_the_address_for_its_sender() {
        let (frames, tuples) = made("arp 10.98.0.9", V4, 1);
        let arp = pnet::packet::arp::ArpPacket::new(&frames[0][ETHERNET..]).unwrap();
        assert_eq!(arp.get_sender_proto_addr(), Ipv4Addr::new(10, 98, 0, 9));
        assert_eq!(arp.get_sender_hw_addr().octets(), [2; 6]);
        let told: Vec<_> = tuples.iter().map(|tuple| (tuple.source, tuple.protocol)).collect();
        assert_eq!(told, [("10.98.0.9".parse().unwrap(), 0)]);
    }
}

//! What a frame is about: the fields by which a witness recognises a probe.

use std::net::IpAddr;

use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::icmp::IcmpPacket;
use pnet::packet::icmpv6::Icmpv6Packet;
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::tcp::TcpPacket;
use pnet::packet::udp::UdpPacket;

const ETHERNET_HEADER: usize = 14;
const IPV6_HEADER: usize = 40;
/// IPv6 extension headers that are stepped over before a packet is given up as strange.
const MOST_EXTENSIONS: usize = 8;

/// The address family of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A packet's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The address family.
    pub family: Family,
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The transport protocol's number (of IPv6 behind the extension headers).
    pub protocol: u8,
    /// The source port; of an ICMP echo its identifier; else 0.
    pub source_port: u16,
    /// The destination port; of ICMP `type << 8 | code`; else 0.
    pub destination_port: u16,
    /// TCP's own fields.
    pub tcp: Option<Tcp>,
    /// Of an ICMP echo its sequence number.
    pub echo_sequence: Option<u16>,
    /// Where the transport's payload begins in the frame.
    pub payload: usize,
    /// Whether it is a fragment other than the first, which has no ports.
    pub later_fragment: bool,
}

/// What a TCP segment adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tcp {
    /// The sequence number.
    pub sequence: u32,
    /// The acknowledged number.
    pub acknowledged: u32,
    /// The flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32.
    pub flags: u8,
}

/// Reads an Ethernet frame, possibly cut short. `None` if it is not IP, or too short or strange to tell.
#[must_use]
pub fn parse(frame: &[u8]) -> Option<Key> {
    let ethernet = EthernetPacket::new(frame)?;
    match ethernet.get_ethertype() {
        EtherTypes::Ipv4 => parse_v4(frame),
        EtherTypes::Ipv6 => parse_v6(frame),
        _ => None,
    }
}

/// How long a frame that may be cut short was on its wire, as its IP header has it; else as long as it is.
#[must_use]
pub fn length(frame: &[u8]) -> usize {
    let told = EthernetPacket::new(frame).and_then(|ethernet| match ethernet.get_ethertype() {
        EtherTypes::Ipv4 => Some(Ipv4Packet::new(ethernet.payload())?.get_total_length().into()),
        EtherTypes::Ipv6 => Some(IPV6_HEADER + usize::from(Ipv6Packet::new(ethernet.payload())?.get_payload_length())),
        _ => None,
    });
    frame.len().max(told.map_or(0, |packet| ETHERNET_HEADER + packet))
}

fn parse_v4(frame: &[u8]) -> Option<Key> {
    let packet = Ipv4Packet::new(frame.get(ETHERNET_HEADER..)?)?;
    let transport = ETHERNET_HEADER + usize::from(packet.get_header_length()) * 4;
    let key = Key {
        family: Family::V4,
        source: packet.get_source().into(),
        destination: packet.get_destination().into(),
        protocol: packet.get_next_level_protocol().0,
        source_port: 0,
        destination_port: 0,
        tcp: None,
        echo_sequence: None,
        payload: transport,
        later_fragment: packet.get_fragment_offset() != 0,
    };
    parse_transport(key, frame.get(transport..)?)
}

fn parse_v6(frame: &[u8]) -> Option<Key> {
    let packet = Ipv6Packet::new(frame.get(ETHERNET_HEADER..)?)?;
    let first = ETHERNET_HEADER + IPV6_HEADER;
    let walked = walk_extensions(frame, packet.get_next_header(), first)?;
    let key = Key {
        family: Family::V6,
        source: packet.get_source().into(),
        destination: packet.get_destination().into(),
        protocol: walked.protocol.0,
        source_port: 0,
        destination_port: 0,
        tcp: None,
        echo_sequence: None,
        payload: walked.transport,
        later_fragment: walked.later_fragment,
    };
    parse_transport(key, frame.get(walked.transport..)?)
}

struct Walked {
    protocol: IpNextHeaderProtocol,
    transport: usize,
    later_fragment: bool,
}

fn walk_extensions(frame: &[u8], first: IpNextHeaderProtocol, start: usize) -> Option<Walked> {
    let mut walked = Walked { protocol: first, transport: start, later_fragment: false };
    for _ in 0..MOST_EXTENSIONS {
        let header = frame.get(walked.transport..walked.transport + 8);
        let length = match walked.protocol {
            IpNextHeaderProtocols::Hopopt | IpNextHeaderProtocols::Ipv6Route | IpNextHeaderProtocols::Ipv6Opts => {
                (usize::from(header?[1]) + 1) * 8
            }
            IpNextHeaderProtocols::Ipv6Frag => {
                walked.later_fragment = u16::from_be_bytes([header?[2], header?[3]]) >> 3 != 0;
                8
            }
            _ => return Some(walked),
        };
        walked.protocol = IpNextHeaderProtocol(header?[0]);
        walked.transport += length;
        if walked.later_fragment {
            return Some(walked);
        }
    }
    None
}

fn parse_transport(mut key: Key, bytes: &[u8]) -> Option<Key> {
    if key.later_fragment {
        return Some(key);
    }
    match IpNextHeaderProtocol(key.protocol) {
        IpNextHeaderProtocols::Tcp => {
            let segment = TcpPacket::new(bytes)?;
            key.source_port = segment.get_source();
            key.destination_port = segment.get_destination();
            key.payload += usize::from(segment.get_data_offset()) * 4;
            key.tcp = Some(Tcp {
                sequence: segment.get_sequence(),
                acknowledged: segment.get_acknowledgement(),
                flags: segment.get_flags(),
            });
        }
        IpNextHeaderProtocols::Udp => {
            let datagram = UdpPacket::new(bytes)?;
            key.source_port = datagram.get_source();
            key.destination_port = datagram.get_destination();
            key.payload += 8;
        }
        IpNextHeaderProtocols::Icmp => {
            let message = IcmpPacket::new(bytes)?;
            let kind = message.get_icmp_type().0;
            key.destination_port = u16::from_be_bytes([kind, message.get_icmp_code().0]);
            read_echo(&mut key, matches!(kind, 0 | 8), message.payload());
        }
        IpNextHeaderProtocols::Icmpv6 => {
            let message = Icmpv6Packet::new(bytes)?;
            let kind = message.get_icmpv6_type().0;
            key.destination_port = u16::from_be_bytes([kind, message.get_icmpv6_code().0]);
            read_echo(&mut key, matches!(kind, 128 | 129), message.payload());
        }
        _ => {}
    }
    Some(key)
}

/// Reads identifier and sequence number, which follow the four bytes that all ICMP messages share.
fn read_echo(key: &mut Key, is_echo: bool, rest: &[u8]) {
    key.payload += 4;
    if let (true, &[high, low, sequence_high, sequence_low, ..]) = (is_echo, rest) {
        key.source_port = u16::from_be_bytes([high, low]);
        key.echo_sequence = Some(u16::from_be_bytes([sequence_high, sequence_low]));
        key.payload += 4;
    }
}

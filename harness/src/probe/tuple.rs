//! The tuple by which every witness names a flow: sockets, taps and records agree on it.

use std::net::{IpAddr, SocketAddr};

use policy::{FlowService, Protocol};
use wire::Record;

use crate::evidence::Probe;

/// A flow in its original direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tuple {
    /// The source address.
    pub(crate) source: IpAddr,
    /// The destination address.
    pub(crate) destination: IpAddr,
    /// The number in the IP header.
    pub(crate) protocol: u8,
    /// The source port, or ICMP's identifier; 0 where there is none.
    pub(crate) from: u16,
    /// The destination port, or ICMP's type; 0 where there is none.
    pub(crate) to: u16,
}

impl Tuple {
    /// A probe's.
    pub(crate) fn of_probe(probe: &Probe, source_port: u16) -> Self {
        let (from, to) = match probe.service {
            FlowService::Tcp(port) | FlowService::Udp(port) => (source_port, port),
            FlowService::Icmp(kind) | FlowService::Icmpv6(kind) => (source_port, u16::from(kind)),
            FlowService::Proto(_) => (0, 0),
        };
        let protocol = probe.service.protocol().number();
        Self { source: probe.source_address, destination: probe.destination_address, protocol, from, to }
    }

    /// A datagram's.
    pub(crate) fn datagram(from: SocketAddr, to: SocketAddr) -> Self {
        let protocol = Protocol::Udp.number();
        Self { source: from.ip(), destination: to.ip(), protocol, from: from.port(), to: to.port() }
    }

    /// A frame's.
    pub(crate) fn of_frame(key: &lab::packet::Key) -> Self {
        let icmp = key.protocol == Protocol::Icmp.number() || key.protocol == Protocol::Icmpv6.number();
        let to = if icmp { key.destination_port >> 8 } else { key.destination_port };
        Self { source: key.source, destination: key.destination, protocol: key.protocol, from: key.source_port, to }
    }

    /// A record's.
    pub(crate) fn of_record(record: &Record) -> Self {
        let (from, to) = match record.protocol {
            Protocol::Tcp | Protocol::Udp => (record.source.port, record.destination.port),
            Protocol::Icmp | Protocol::Icmpv6 => (record.icmp_id, u16::from(record.icmp_type)),
            Protocol::Other(_) => (0, 0),
        };
        let protocol = record.protocol.number();
        Self { source: record.source.address, destination: record.destination.address, protocol, from, to }
    }

    /// The same flow seen the other way round.
    pub(crate) fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source, from: self.to, to: self.from, ..self }
    }
}

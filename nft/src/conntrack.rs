//! Connection tracking: list the connections, set their marks, forget them.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::attr::{Attr, Attrs};
use crate::error::Error;
use crate::message::{Head, Message};
use crate::numbers::{NESTED, NLM_F_ACK, SUBSYS_CONNTRACK};
use crate::socket::Socket;

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Where packets of this direction come from.
    pub source: IpAddr,
    /// Where they go.
    pub destination: IpAddr,
    /// The transport protocol.
    pub protocol: u8,
    /// The source port, or the ICMP identifier.
    pub source_port: u16,
    /// The destination port, or ICMP type << 8 | code.
    pub destination_port: u16,
}

/// A tracked connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// As the first packet went.
    pub original: Address,
    /// As the answers go.
    pub reply: Address,
    /// The connection mark.
    pub mark: u32,
    /// The status bits.
    pub status: u32,
    /// The zone.
    pub zone: u16,
    family: u8,
    tuple: Vec<u8>,
}

/// A change of a connection's mark: `mark = (mark & !mask) ^ value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionUpdate {
    /// The bits that are cleared.
    pub mask: u32,
    /// The bits that are then flipped.
    pub value: u32,
}

impl Socket {
    /// All tracked connections of this namespace.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        self.dump(head(1, 0, 0), |_| {}, |message, found| found.extend(parse(message)))
    }

    /// Changes a connection's mark.
    ///
    /// # Errors
    /// When the connection is gone or the kernel refuses.
    pub fn update_connection(&mut self, connection: &Connection, update: ConnectionUpdate) -> Result<(), Error> {
        let fill = |w: &mut crate::attr::Writer| {
            w.bytes(1 | NESTED, &connection.tuple).be32(8, update.value).be32(21, update.mask);
            if connection.zone != 0 {
                w.be16(18, connection.zone);
            }
        };
        self.request(head(0, NLM_F_ACK, connection.family), fill, |_| {})
    }

    /// Forgets a connection: its next packet is a new flow's, or nobody's.
    ///
    /// # Errors
    /// When the connection is gone or the kernel refuses.
    pub fn delete_connection(&mut self, connection: &Connection) -> Result<(), Error> {
        let fill = |w: &mut crate::attr::Writer| {
            w.bytes(1 | NESTED, &connection.tuple);
            if connection.zone != 0 {
                w.be16(18, connection.zone);
            }
        };
        self.request(head(2, NLM_F_ACK, connection.family), fill, |_| {})
    }
}

fn head(message: u16, flags: u16, family: u8) -> Head {
    Head { kind: SUBSYS_CONNTRACK << 8 | message, flags, sequence: 0, family, resource: 0 }
}

fn parse(message: Message<'_>) -> Option<Connection> {
    let attrs = message.attrs();
    let number = |kind| attrs.find(kind).and_then(Attr::be32).unwrap_or(0);
    let tuple = attrs.find(1)?;
    Some(Connection {
        original: address(tuple.inside())?,
        reply: address(attrs.find(2)?.inside())?,
        mark: number(8),
        status: number(3),
        zone: attrs.find(18).and_then(Attr::be16).unwrap_or(0),
        family: message.body.first().copied().unwrap_or(0),
        tuple: tuple.value.to_vec(),
    })
}

fn address(tuple: Attrs<'_>) -> Option<Address> {
    let (ips, transport) = (tuple.find(1)?.inside(), tuple.find(2)?.inside());
    let port = |kind| transport.find(kind).and_then(Attr::be16);
    let byte = |kind| transport.find(kind).and_then(|attr| attr.value.first().copied());
    let icmp = byte(5).zip(byte(6)).or_else(|| byte(8).zip(byte(9)));
    let kind = icmp.map(|(kind, code)| u16::from_be_bytes([kind, code]));
    Some(Address {
        source: ip(ips, 1, 3)?,
        destination: ip(ips, 2, 4)?,
        protocol: byte(1)?,
        source_port: port(2).or_else(|| port(4)).or_else(|| port(7)).unwrap_or(0),
        destination_port: port(3).or(kind).unwrap_or(0),
    })
}

fn ip(attrs: Attrs<'_>, four: u16, six: u16) -> Option<IpAddr> {
    if let Some(attr) = attrs.find(four) {
        return Some(Ipv4Addr::from(attr.be32()?).into());
    }
    let bytes: [u8; 16] = attrs.find(six)?.value.get(..16)?.try_into().ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

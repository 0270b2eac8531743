//! Connection tracking: list the connections, set their marks, forget them.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::errno::Errno;

use crate::attr::{Attr, Attrs, Writer};
use crate::error::Error;
use crate::message::{Head, Message, write};
use crate::numbers::{NESTED, NLM_F_ACK, NLM_F_CREATE, SUBSYS_CONNTRACK};
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
        let fill = |w: &mut Writer| {
            w.bytes(1 | NESTED, &connection.tuple).be32(8, update.value).be32(21, update.mask);
            if connection.zone != 0 {
                w.be16(18, connection.zone);
            }
        };
        self.request(head(0, NLM_F_ACK, connection.family), fill, |_| {})
    }

    /// Puts established flows with a mark into the table, each as its original direction goes; gives how many there was
    /// room for.
    ///
    /// # Errors
    /// When the kernel refuses for another reason than want of room.
    pub fn add_connections(&mut self, flows: &[Address], mark: u32) -> Result<usize, Error> {
        self.drain();
        let count = u32::try_from(flows.len()).unwrap_or(u32::MAX);
        let (first, mut out) = (self.take_sequences(count), Writer::default());
        for (flow, sequence) in flows.iter().zip(first..) {
            let flags = NLM_F_CREATE | NLM_F_ACK;
            write(&mut out, Head { sequence, ..head(0, flags, ip_family(flow.source)) }, |w| {
                write_tuple(w, 1, flow);
                write_tuple(w, 2, &flow.reversed());
                w.be32(3, ESTABLISHED).be32(7, LIFE).be32(8, mark);
            });
        }
        self.send(&out.0)?;
        let (mut added, mut failed, mut answered) = (0, None, 0);
        self.answers(|message| {
            match message.code() {
                0 => added += 1,
                code if Errno::from_raw(-code) == Errno::ENOMEM => {}
                code => failed = Some(Errno::from_raw(-code)),
            }
            answered += 1;
            answered < flows.len()
        })?;
        failed.map_or(Ok(added), |errno| Err(Error::Io { what: "add a connection", errno }))
    }

    /// Forgets all connections with a mark.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete_connections(&mut self, mark: u32) -> Result<(), Error> {
        let fill = |w: &mut Writer| {
            w.be32(8, mark).be32(21, u32::MAX);
        };
        self.request(head(2, NLM_F_ACK, 0), fill, |_| {})
    }

    /// Forgets a connection: its next packet is a new flow's, or nobody's.
    ///
    /// # Errors
    /// When the connection is gone or the kernel refuses.
    pub fn delete_connection(&mut self, connection: &Connection) -> Result<(), Error> {
        let fill = |w: &mut Writer| {
            w.bytes(1 | NESTED, &connection.tuple);
            if connection.zone != 0 {
                w.be16(18, connection.zone);
            }
        };
        self.request(head(2, NLM_F_ACK, connection.family), fill, |_| {})
    }
}

/// Answers seen, assured, confirmed.
const ESTABLISHED: u32 = 2 | 4 | 8;
/// Seconds.
const LIFE: u32 = 600;

impl Address {
    fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..*self
        }
    }
}

fn ip_family(ip: IpAddr) -> u8 {
    if ip.is_ipv6() { 10 } else { 2 }
}

fn write_tuple(w: &mut Writer, kind: u16, flow: &Address) {
    w.nest(kind, |w| {
        w.nest(1, |w| {
            match (flow.source, flow.destination) {
                (IpAddr::V4(from), IpAddr::V4(to)) => w.bytes(1, &from.octets()).bytes(2, &to.octets()),
                (from, to) => w.bytes(3, &six(from)).bytes(4, &six(to)),
            };
        });
        w.nest(2, |w| {
            w.u8(1, flow.protocol).be16(2, flow.source_port).be16(3, flow.destination_port);
        });
    });
}

fn six(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn head(message: u16, flags: u16, family: u8) -> Head {
    Head { kind: SUBSYS_CONNTRACK << 8 | message, flags, sequence: 0, family, resource: 0 }
}

pub(crate) fn parse(message: Message<'_>) -> Option<Connection> {
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

//! Barriers: sentinel packets behind a batch, one a direction. When the center shows both, every earlier record is
//! there or was declared lost (semantics 22).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use lab::{Mac, Station};
use socket2::{SockAddr, Type};

use crate::probe::listener::socket;
use crate::probe::raw::checksum;

/// The port of sentinels.
const PORT: u16 = 64_998;
const MARK: &[u8; 4] = b"EWB1";
const UDP: u8 = 17;
const UDP_HEADER: u16 = 8;

/// Who a sentinel pretends to come from or go to.
#[derive(Clone, Debug)]
pub(crate) struct Far {
    /// Its link-layer address.
    pub(crate) mac: Mac,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

/// A sentinel's nonce.
pub(crate) type Nonce = [u8; 16];

/// Sends one sentinel out of a VM and one into it.
pub(crate) fn send(station: &Station, far: &Far, out: Nonce, into: Nonce) -> Result<(), String> {
    let own = station.addresses();
    let pair = own.iter().find_map(|own| {
        let other = far.addresses.iter().find(|other| other.is_ipv4() == own.is_ipv4())?;
        Some((*own, *other))
    });
    let (own, other) = pair.ok_or_else(|| format!("{} has no address in common with the center", station.name()))?;
    station.enter(|| send_out(own, other, out)).map_err(|error| error.to_string())?;
    let frame = frame(station.mac(), far.mac, (other, own), &payload(into));
    station.inject(&frame).map_err(|error| error.to_string())
}

/// A nonce as the records have it.
pub(crate) fn hex(nonce: &Nonce) -> String {
    nonce.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Being refused is what a sentinel meets: whether it was noticed, the record says.
fn send_out(own: IpAddr, other: IpAddr, nonce: Nonce) {
    let sent = socket(own, Type::DGRAM).and_then(|socket| {
        socket.bind(&SockAddr::from(SocketAddr::new(own, 0)))?;
        socket.send_to(&payload(nonce), &SockAddr::from(SocketAddr::new(other, PORT)))
    });
    if let Err(error) = sent {
        tracing::trace!(%error, "a sentinel was refused, as it should be");
    }
}

fn payload(nonce: Nonce) -> Vec<u8> {
    [MARK.as_slice(), nonce.as_slice()].concat()
}

fn frame(to: Mac, from: Mac, (source, destination): (IpAddr, IpAddr), payload: &[u8]) -> Vec<u8> {
    let mut frame = [to.as_slice(), from.as_slice()].concat();
    let length = UDP_HEADER + u16::try_from(payload.len()).unwrap_or(0);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend([0x08, 0x00]);
            let mut header = vec![0x45, 0];
            header.extend((20 + length).to_be_bytes());
            header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            frame.extend(header);
        }
        (source, destination) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([UDP, 64]);
            frame.extend(octets(source));
            frame.extend(octets(destination));
        }
    }
    frame.extend(datagram(source, destination, length, payload));
    frame
}

fn datagram(source: IpAddr, destination: IpAddr, length: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(PORT.to_be_bytes());
    datagram.extend(PORT.to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let mut pseudo = octets(source);
    pseudo.extend(octets(destination));
    pseudo.extend([0, UDP]);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend(&datagram);
    let sum = checksum(&pseudo);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_reads_as_a_datagram_to_the_barriers_port() {
        for (source, destination) in [("10.98.255.254", "10.98.0.1"), ("fd98::ffff:fffe", "fd98::1")] {
            let pair: (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
            let frame = frame([2; 6], [4; 6], pair, &payload([7; 16]));
            let key = lab::packet::parse(&frame).unwrap();
            assert_eq!((key.source, key.destination, key.protocol, key.destination_port), (pair.0, pair.1, UDP, PORT));
            assert_eq!(&frame[key.payload..], [MARK.as_slice(), &[7; 16]].concat());
        }
    }
}

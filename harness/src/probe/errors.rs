//! ICMP errors as bytes: of a flow that there is, told by somebody who has nothing to do with it, or of none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet::packet::icmpv6::{self, Icmpv6Packet};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};

use super::craft::{Ends, v4, v6};
use super::raw::checksum;
use super::tuple::Tuple;
use crate::scenario::{IcmpError, LEAST};

/// How much of a quoted packet's transport is quoted.
const QUOTED: usize = 8;
/// The ports of a flow that there never was.
const NOBODYS: (u16, u16) = (64_999, 64_999);
const HOPS: u8 = 255;

/// The packet, and the tuples by which records may tell of it.
pub(crate) fn error(error: IcmpError, ends: &Ends) -> (Vec<u8>, Vec<Tuple>) {
    let (quoted, sequence) = quoted(ends);
    let mut transport = vec![0; QUOTED];
    transport[..2].copy_from_slice(&quoted.from.to_be_bytes());
    transport[2..4].copy_from_slice(&quoted.to.to_be_bytes());
    if quoted.protocol == IpNextHeaderProtocols::Tcp.0 {
        transport[4..].copy_from_slice(&sequence.to_be_bytes());
    }
    let next = IpNextHeaderProtocol::new(quoted.protocol);
    match (ends.addresses, quoted.source, quoted.destination) {
        ((IpAddr::V4(from), IpAddr::V4(to)), IpAddr::V4(own), IpAddr::V4(peer)) => {
            let message = four(error, from, &v4((own, peer), next, None, &transport));
            let told = tuples(ends, IpNextHeaderProtocols::Icmp, &message, quoted);
            (v4((from, to), IpNextHeaderProtocols::Icmp, None, &message), told)
        }
        ((IpAddr::V6(from), IpAddr::V6(to)), IpAddr::V6(own), IpAddr::V6(peer)) => {
            let message = six(error, (from, to), peer, &v6((own, peer), next, HOPS, &transport));
            let told = tuples(ends, IpNextHeaderProtocols::Icmpv6, &message, quoted);
            (v6((from, to), IpNextHeaderProtocols::Icmpv6, HOPS, &message), told)
        }
        // The scenario's reader lets no such pair through.
        (_, IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => (Vec::new(), Vec::new()),
    }
}

/// The flow as the one who is told of it sends it, and how far it has come.
fn quoted(ends: &Ends) -> (Tuple, u32) {
    let (teller, told) = ends.addresses;
    let nobodys = Tuple {
        source: told,
        destination: teller,
        protocol: IpNextHeaderProtocols::Udp.0,
        from: NOBODYS.0,
        to: NOBODYS.1,
    };
    let (flow, sequence) = ends.quoted.unwrap_or((nobodys, 0));
    (if flow.source == told { flow } else { flow.reversed() }, sequence)
}

fn four(error: IcmpError, teller: Ipv4Addr, quote: &[u8]) -> Vec<u8> {
    let (kind, code, rest) = match error {
        IcmpError::Redirect => (5, 1, teller.octets()),
        IcmpError::Unreachable => (3, 3, [0; 4]),
        IcmpError::TooBig { mtu } => (3, 4, u32::from(mtu.unwrap_or(LEAST.0)).to_be_bytes()),
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    message.extend(quote);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn six(error: IcmpError, (teller, told): (Ipv6Addr, Ipv6Addr), peer: Ipv6Addr, quote: &[u8]) -> Vec<u8> {
    let (kind, code, rest) = match error {
        // To whom it may go instead, and of whom it speaks.
        IcmpError::Redirect => (137, 0, [[0; 4].as_slice(), &teller.octets(), &peer.octets()].concat()),
        IcmpError::Unreachable => (1, 4, [[0; 4].as_slice(), quote].concat()),
        IcmpError::TooBig { mtu } => {
            (2, 0, [u32::from(mtu.unwrap_or(LEAST.1)).to_be_bytes().as_slice(), quote].concat())
        }
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    let sum = Icmpv6Packet::new(&message).map_or(0, |packet| icmpv6::checksum(&packet, &teller, &told));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Records tell of the error itself, or of the flow that it quotes.
fn tuples(ends: &Ends, protocol: IpNextHeaderProtocol, message: &[u8], quoted: Tuple) -> Vec<Tuple> {
    let (source, destination) = ends.addresses;
    let identifier = u16::from_be_bytes([message[4], message[5]]);
    let own = |from| Tuple { source, destination, protocol: protocol.0, from, to: u16::from(message[0]) };
    vec![own(0), own(identifier), quoted]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENCE: u32 = 0x0102_0304;

    fn made(kind: IcmpError, (from, to): (&str, &str), quoted: Option<Tuple>) -> (Vec<u8>, Vec<Tuple>) {
        let (addresses, quoted) = ((from.parse().unwrap(), to.parse().unwrap()), quoted.map(|flow| (flow, SEQUENCE)));
        error(kind, &Ends { addresses, macs: ([2; 6], [4; 6]), quoted })
    }

    #[test]
    fn an_error_is_of_its_type_and_quotes_what_the_other_sent() {
        let flow = |from: &str, to: &str| Tuple {
            source: from.parse().unwrap(),
            destination: to.parse().unwrap(),
            protocol: 6,
            from: 50_000,
            to: 443,
        };
        let (v4, v6) = (("10.98.0.9", "10.98.0.1"), ("fd98::9", "fd98::1"));
        let rows = [
            (IcmpError::Redirect, v4, Some(flow("10.98.0.1", "10.98.0.2")), 20, 5, Some((50_000, 443))),
            (IcmpError::TooBig { mtu: None }, v4, Some(flow("10.98.0.2", "10.98.0.1")), 20, 3, Some((443, 50_000))),
            (IcmpError::Unreachable, v4, None, 20, 3, Some(NOBODYS)),
            (IcmpError::TooBig { mtu: Some(1400) }, v6, Some(flow("fd98::1", "fd98::2")), 40, 2, Some((50_000, 443))),
            (IcmpError::Redirect, v6, Some(flow("fd98::1", "fd98::2")), 40, 137, None),
        ];
        for (kind, ends, quoted, header, number, ports) in rows {
            let (bytes, tuples) = made(kind, ends, quoted);
            assert_eq!(bytes[header], number, "{kind:?}");
            assert!(tuples.iter().any(|tuple| tuple.to == u16::from(number)), "{tuples:?}");
            let Some((from, to)) = ports else { continue };
            let tail = &bytes[bytes.len() - QUOTED..];
            let seen = (u16::from_be_bytes([tail[0], tail[1]]), u16::from_be_bytes([tail[2], tail[3]]));
            assert_eq!(seen, (from, to), "{kind:?}");
            let sequence = quoted.map_or(0, |_| SEQUENCE);
            assert_eq!(tail[4..], sequence.to_be_bytes(), "{kind:?}");
        }
    }

    #[test]
    fn what_would_fit_is_said_where_each_family_has_its_place() {
        let (v4, v6) = (("10.98.0.9", "10.98.0.1"), ("fd98::9", "fd98::1"));
        for (mtu, ends, place, told) in [
            (None, v4, 24..28, [0, 0, 2, 64]),
            (Some(1400), v4, 24..28, [0, 0, 5, 120]),
            (None, v6, 44..48, [0, 0, 5, 0]),
            (Some(1400), v6, 44..48, [0, 0, 5, 120]),
        ] {
            let (bytes, _) = made(IcmpError::TooBig { mtu }, ends, None);
            assert_eq!(bytes[place], told, "{mtu:?} of {ends:?}");
        }
    }
}

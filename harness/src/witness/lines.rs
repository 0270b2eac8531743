//! Packets for people: a line each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lab::packet::{Key, parse};
use lab::{Direction, Frame};
use policy::Timestamp;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Names by addresses.
pub(crate) type Names = BTreeMap<IpAddr, String>;

/// A packet for people: when, which way, from where to where, what, how long.
pub(crate) fn line(frame: &Frame<'_>, names: &Names) -> String {
    let time = Timestamp::from_nanosecond(frame.stamp_ns.into()).unwrap_or_default().strftime("%H:%M:%S%.6f");
    let way = match frame.direction {
        Direction::FromVm => "out",
        Direction::ToVm => "in ",
    };
    let length = frame.length;
    match parse(frame.bytes) {
        Some(key) => format!("{time} {way} {} {length}\n", what(&key, names)),
        None => format!("{time} {way} a strange packet {length}\n"),
    }
}

fn what(key: &Key, names: &Names) -> String {
    let name = |address| names.get(&address).map(|name| format!("{name} ")).unwrap_or_default();
    let has_ports = [TCP, UDP].contains(&key.protocol) && !key.later_fragment;
    let end = |address: IpAddr, port: u16| match (address, has_ports) {
        (address, false) => format!("{}{address}", name(address)),
        (IpAddr::V4(_), true) => format!("{}{address}:{port}", name(address)),
        (IpAddr::V6(_), true) => format!("{}[{address}]:{port}", name(address)),
    };
    let (from, to) = (end(key.source, key.source_port), end(key.destination, key.destination_port));
    let (kind, code) = (key.destination_port >> 8, key.destination_port & 0xff);
    let echo = key.echo_sequence.map(|number| format!(" id {} seq {number}", key.source_port)).unwrap_or_default();
    let what = match key.protocol {
        number if key.later_fragment => format!("fragment of protocol {number}"),
        TCP => format!("tcp {}", flags(key.tcp.map_or(0, |tcp| tcp.flags))),
        UDP => "udp".to_owned(),
        ICMP => format!("icmp/{kind}.{code}{echo}"),
        ICMPV6 => format!("icmpv6/{kind}.{code}{echo}"),
        number => format!("protocol {number}"),
    };
    format!("{from} > {to} {what}")
}

/// TCP's flags as tcpdump has them: an acknowledgement is a dot.
fn flags(bits: u8) -> String {
    "FSRP.U".chars().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN from 10.98.0.1:61000 to 10.98.0.2:80, or with another protocol's number.
    fn frame(protocol: u8, fragment: u8) -> Vec<u8> {
        let mut frame = [[2; 12].as_slice(), &[8, 0, 0x45, 0, 0, 60, 0, 0, 0, fragment, 64, protocol, 0, 0]].concat();
        frame.extend([10, 98, 0, 1, 10, 98, 0, 2]);
        frame.extend([238, 72, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0]);
        frame
    }

    #[test]
    fn a_packet_is_a_line() {
        let names = Names::from([("10.98.0.1".parse().unwrap(), "hr".to_owned())]);
        let rows: [(Vec<u8>, &str); 5] = [
            (frame(6, 0), "hr 10.98.0.1:61000 > 10.98.0.2:80 tcp S. 74"),
            (frame(17, 0), "hr 10.98.0.1:61000 > 10.98.0.2:80 udp 74"),
            (frame(17, 9), "hr 10.98.0.1 > 10.98.0.2 fragment of protocol 17 74"),
            (frame(47, 0), "hr 10.98.0.1 > 10.98.0.2 protocol 47 74"),
            (vec![0; 20], "a strange packet 20"),
        ];
        for (bytes, told) in rows {
            let length = lab::packet::length(&bytes);
            let frame = Frame { direction: Direction::FromVm, stamp_ns: 3_661_000_002_000, bytes: &bytes, length };
            assert_eq!(line(&frame, &names), format!("01:01:01.000002 out {told}\n"));
        }
    }
}

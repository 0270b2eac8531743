//! What the kernel's maps shall hold for a ruleset.
use std::net::IpAddr;
use std::ops::RangeInclusive;

use agent_core::{Class, IpRange, Place, Ruleset, Service, Word};

use super::maps::{Entry, Map, number};
use super::rules::{CLASSED, FOUND, OWN, TCP, UDP};
use super::skeleton::Side;

/// Everything that the kernel's maps shall hold.
pub(crate) fn maps(of: &Ruleset) -> Vec<Map> {
    let [networks4, networks6] = [false, true].map(|six| ranges(&of.networks, six, |class| class.0 | CLASSED));
    let [peers4, peers6] = [false, true].map(|six| peers(of, six));
    let own = |six| own(of, six).into_iter().map(|ip| (of_address(ip), place(Place::Own)));
    vec![
        Map::marks("defaults", 1, defaults(of)),
        Map::exact("peers4", 4, peers4),
        Map::exact("peers6", 16, peers6),
        Map::marks("arriving", 3, arriving(of)),
        Map::marks("outbound", 2, of.outbound.iter().map(|(key, word)| (joined(&pair(*key)), valid(*word)))),
        Map::ranges("networks4", 4, networks4),
        Map::ranges("networks6", 16, networks6),
        Map::ranges("tcp", 2, of.tcp.iter().map(ports)),
        Map::ranges("udp", 2, of.udp.iter().map(ports)),
        Map::ranges("icmp", 2, of.icmp.iter().map(types)),
        Map::ranges("icmpv6", 2, of.icmpv6.iter().map(types)),
        Map::ranges("protocols", 1, of.protocols.iter().map(protocols)),
        Map::ranges("places4", 4, ranges(&of.places, false, place)),
        Map::ranges("places6", 16, ranges(&of.places, true, place)),
        Map::exact("own4", 4, own(false)),
        Map::exact("own6", 16, own(true)),
        Map::exact("ports", 8, single_ports(of)),
    ]
}

/// The default of each direction, for packets that are judged again.
fn defaults(of: &Ruleset) -> [(u128, u32); 2] {
    [(Side::In, of.default_in), (Side::Out, of.default_out)].map(|(side, word)| ((side as u32).into(), word.0 | FOUND))
}

fn peers(of: &Ruleset, six: bool) -> impl Iterator<Item = (u128, u32)> {
    let family = of.peers.iter().filter(move |(ip, _)| ip.is_ipv6() == six);
    family.map(|(ip, class)| (of_address(*ip), class.0 | CLASSED))
}

/// What flows get that reach this machine: by their class, their service, and the place that they are for.
fn arriving(of: &Ruleset) -> impl Iterator<Item = (u128, u32)> {
    let key = |at, both| {
        let [class, service] = pair(both);
        joined(&[class, service, place(at)])
    };
    let own = of.inbound.iter().map(move |(both, word)| (key(Place::Own, *both), valid(*word)));
    let others = of.elsewhere.iter();
    own.chain(others.map(move |((at, class, service), word)| (key(*at, (*class, *service)), valid(*word))))
}

fn pair((class, service): (Class, Service)) -> [u32; 2] {
    [class.0 | CLASSED, service.0]
}

/// Marks as one number, which is in the order of the first, then of the second.
fn joined(marks: &[u32]) -> u128 {
    marks.iter().fold(0, |number, mark| number << 32 | u128::from(*mark))
}

fn valid(word: Word) -> u32 {
    word.0 | FOUND
}

/// The machine's own addresses, as most of what arrives is for them: found without a look at ranges.
pub(super) fn own(of: &Ruleset, six: bool) -> Vec<IpAddr> {
    let is_own = |ip: &&IpAddr| {
        let range =
            of.places.iter().find(|(range, _)| range.start.is_ipv6() == six && (range.start..=range.end).contains(*ip));
        ip.is_ipv6() == six && range.is_some_and(|(_, at)| *at == Place::Own)
    };
    of.own.iter().filter(is_own).copied().collect()
}

/// Of a place for which nothing passes, the outcome itself.
fn place(of: Place) -> u32 {
    match of {
        Place::Own => OWN,
        Place::Other(number) => number,
        Place::Denied(word) => valid(word),
    }
}

fn ranges<T: Copy>(all: &[(IpRange, T)], six: bool, value: impl Fn(T) -> u32) -> Vec<Entry> {
    let family = all.iter().filter(|(range, _)| range.start.is_ipv6() == six);
    let entry = |(IpRange { start, end }, kind): &(IpRange, T)| Entry {
        first: of_address(*start),
        last: of_address(*end),
        value: value(*kind),
    };
    family.map(entry).collect()
}

fn ports((range, service): &(RangeInclusive<u16>, Service)) -> Entry {
    Entry { first: (*range.start()).into(), last: (*range.end()).into(), value: service.0 }
}

/// Services of one port each, by protocol and port, as most are: found without a look at ranges.
fn single_ports(of: &Ruleset) -> impl Iterator<Item = (u128, u32)> {
    let of_protocol = |(protocol, all): (u8, &'_ [(RangeInclusive<u16>, Service)])| {
        let single = all.iter().filter(|(range, _)| range.start() == range.end());
        let key = move |port: u16| u128::from(protocol) << 56 | u128::from(port) << 16;
        single.map(move |(range, service)| (key(*range.start()), service.0)).collect::<Vec<_>>()
    };
    [(TCP, of.tcp.as_slice()), (UDP, of.udp.as_slice())].into_iter().flat_map(of_protocol)
}

/// Connection tracking keeps type and code where other protocols keep the destination port.
fn types((range, service): &(RangeInclusive<u8>, Service)) -> Entry {
    let of = |kind: u8, code: u8| u16::from_be_bytes([kind, code]).into();
    Entry { first: of(*range.start(), 0), last: of(*range.end(), 255), value: service.0 }
}

fn protocols((range, service): &(RangeInclusive<u8>, Service)) -> Entry {
    Entry { first: (*range.start()).into(), last: (*range.end()).into(), value: service.0 }
}

fn of_address(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => number(&ip.octets()),
        IpAddr::V6(ip) => number(&ip.octets()),
    }
}

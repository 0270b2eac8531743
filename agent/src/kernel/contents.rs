//! What the kernel's maps shall hold for a ruleset.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use agent_core::{Class, IpRange, Place, Ruleset, Service, Word};

use super::maps::{Entry, Map, number};
use super::rules::{CLASSED, FOUND, OWN, TCP, UDP};
use super::skeleton::Side;

/// Everything that the kernel's maps shall hold; but nothing of a map of which `beside` says the same.
pub(crate) fn maps<'a>(of: &'a Ruleset, beside: Option<&'a Ruleset>) -> Vec<Map> {
    let [tcp, udp, icmp, icmpv6, protocols] = [
        differing(of, beside, |one| &one.tcp).map(|all| all.iter().map(ports).collect()),
        differing(of, beside, |one| &one.udp).map(|all| all.iter().map(ports).collect()),
        differing(of, beside, |one| &one.icmp).map(|all| all.iter().map(types).collect()),
        differing(of, beside, |one| &one.icmpv6).map(|all| all.iter().map(types).collect()),
        differing(of, beside, |one| &one.protocols).map(|all| all.iter().map(protocols).collect()),
    ]
    .map(|all: Option<Vec<Entry>>| all.unwrap_or_default());
    let networks = differing(of, beside, |one| &one.networks).map_or(&[][..], Vec::as_slice);
    let places = differing(of, beside, |one| &one.places).map_or(&[][..], Vec::as_slice);
    let peers = |six| differing(of, beside, |one| &one.peers).into_iter().flat_map(move |all| peers(all, six));
    let own = |six| differing(of, beside, |one| (&one.own, &one.places)).into_iter().flat_map(move |_| own(of, six));
    let own = |six| own(six).map(|ip| (of_address(ip), place(Place::Own)));
    let arriving = differing(of, beside, |one| (&one.inbound, &one.elsewhere)).into_iter().flat_map(|_| arriving(of));
    let outbound = differing(of, beside, |one| &one.outbound).into_iter().flatten();
    let single_ports = differing(of, beside, |one| (&one.tcp, &one.udp)).into_iter().flat_map(|_| single_ports(of));
    vec![
        Map::marks("defaults", 1, defaults(of)),
        Map::exact("peers4", 4, peers(false)),
        Map::exact("peers6", 16, peers(true)),
        Map::marks("arriving", 3, arriving),
        Map::marks("outbound", 2, outbound.map(|(key, word)| (joined(&pair(*key)), valid(*word)))),
        Map::ranges("networks4", 4, ranges(networks, false, |class| class.0 | CLASSED)),
        Map::ranges("networks6", 16, ranges(networks, true, |class| class.0 | CLASSED)),
        Map::ranges("tcp", 2, tcp),
        Map::ranges("udp", 2, udp),
        Map::ranges("icmp", 2, icmp),
        Map::ranges("icmpv6", 2, icmpv6),
        Map::ranges("protocols", 1, protocols),
        Map::ranges("places4", 4, ranges(places, false, place)),
        Map::ranges("places6", 16, ranges(places, true, place)),
        Map::exact("own4", 4, own(false)),
        Map::exact("own6", 16, own(true)),
        Map::exact("ports", 8, single_ports),
    ]
}

/// Parts of a ruleset, if they are not the same in another beside it.
fn differing<'a, T: PartialEq>(
    of: &'a Ruleset,
    beside: Option<&'a Ruleset>,
    parts: impl Fn(&'a Ruleset) -> T,
) -> Option<T> {
    let own = parts(of);
    beside.is_none_or(|other| parts(other) != own).then_some(own)
}

/// The default of each direction, for packets that are judged again.
fn defaults(of: &Ruleset) -> [(u128, u32); 2] {
    [(Side::In, of.default_in), (Side::Out, of.default_out)].map(|(side, word)| ((side as u32).into(), word.0 | FOUND))
}

fn peers(all: &BTreeMap<IpAddr, Class>, six: bool) -> impl Iterator<Item = (u128, u32)> {
    let family = all.iter().filter(move |(ip, _)| ip.is_ipv6() == six);
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

//! Views by hand, and the smallest interpreter of a ruleset's maps.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test uses its part; a test may fail loudly"
)]

use std::net::IpAddr;
use std::ops::RangeInclusive;

use agent_core::{Class, Place, Program, Ruleset, Service, Word};
use policy::{Action, AddressGroup, FlowService, Mode, Outage, ServiceMatch, Verdict};
use wire::{Outside, Peer, Set, View, ViewRule};

/// A VM `hr-1` (10.98.0.1, fd98::1) among four peers, with no rule and default deny.
pub fn view() -> View {
    let peer = |name: &str, host: u8| Peer {
        vm: name.to_owned(),
        addresses: vec![IpAddr::from([10, 98, 0, host]), format!("fd98::{host}").parse().unwrap()],
    };
    View {
        generation: 1,
        vm: "hr-1".to_owned(),
        addresses: vec!["10.98.0.1".parse().unwrap(), "fd98::1".parse().unwrap()],
        center: Some("10.98.255.254:7440".parse().unwrap()),
        managed: vec!["10.98.0.0/16".parse().unwrap(), "fd98::/48".parse().unwrap()],
        peers: vec![peer("hr-2", 2), peer("fin-web", 3), peer("fin-db", 4), peer("fin-app", 5)],
        sets: vec![
            Set { vms: vec![0, 1, 2, 3], outside: Outside::All },
            Set { vms: vec![0], outside: Outside::None },
            Set { vms: vec![1, 2, 3], outside: Outside::None },
            Set { vms: vec![], outside: Outside::Groups(vec![office().into()]) },
        ],
        rules: Vec::new(),
        detectors: Vec::new(),
        default: Verdict::Deny,
        mode: Mode::Enforce,
        quarantined: false,
        dhcp: false,
        record_all: false,
        now: 1_000_000,
        outage: Outage::KeepLast,
    }
}

/// Indices of the sets of [`view`].
pub const ANY: u32 = 0;
pub const HR: u32 = 1;
pub const FINANCE: u32 = 2;
pub const OFFICE: u32 = 3;

pub fn office() -> AddressGroup {
    AddressGroup {
        name: "office".parse().unwrap(),
        includes: vec![
            "10.9.0.0/16".parse().unwrap(),
            "10.9.3.128/25".parse().unwrap(),
            "2001:db8:9::/48".parse().unwrap(),
        ],
        excludes: vec!["10.9.3.0/24".parse().unwrap()],
    }
}

/// A rule for both directions.
pub fn rule(name: &str, action: Action, services: &[ServiceMatch], set: u32) -> ViewRule {
    ViewRule {
        name: name.to_owned(),
        action,
        services: services.to_vec(),
        inbound: Some(set),
        outbound: Some(set),
        elsewhere: None,
        tier: 0,
        log: false,
        mode: Mode::Enforce,
        until: None,
    }
}

pub fn tcp(first: u16, last: u16) -> ServiceMatch {
    ServiceMatch::Ports { tcp: true, first, last }
}

pub fn udp(port: u16) -> ServiceMatch {
    ServiceMatch::Ports { tcp: false, first: port, last: port }
}

/// What the kernel's look-ups would give.
pub fn look_up(ruleset: &Ruleset, inbound: bool, peer: IpAddr, service: FlowService) -> Word {
    let class = class_of(ruleset, peer);
    let service = service_of(ruleset, service);
    let (map, default) =
        if inbound { (&ruleset.inbound, ruleset.default_in) } else { (&ruleset.outbound, ruleset.default_out) };
    map.get(&(class, service)).copied().unwrap_or(default)
}

/// What they would give for a flow that reaches this machine for that address.
fn look_up_for(ruleset: &Ruleset, to: IpAddr, peer: IpAddr, service: FlowService) -> Word {
    let place = in_range(&ruleset.places, to);
    let (class, service) = (class_of(ruleset, peer), service_of(ruleset, service));
    let (found, default) = match place {
        Place::Own => (ruleset.inbound.get(&(class, service)), ruleset.default_in),
        Place::Other(_) => (ruleset.elsewhere.get(&(place, class, service)), ruleset.default_in),
        Place::Denied(word) => (ruleset.elsewhere.get(&(place, class, service)), word),
    };
    found.copied().unwrap_or(default)
}

fn class_of(ruleset: &Ruleset, peer: IpAddr) -> Class {
    if let Some(class) = ruleset.peers.get(&peer) {
        return *class;
    }
    in_range(&ruleset.networks, peer)
}

fn in_range<T: Copy + std::fmt::Debug>(ranges: &[(agent_core::IpRange, T)], address: IpAddr) -> T {
    let holds = |range: &agent_core::IpRange| {
        range.start.is_ipv4() == address.is_ipv4() && (range.start..=range.end).contains(&address)
    };
    let found: Vec<_> = ranges.iter().filter(|(range, _)| holds(range)).collect();
    assert_eq!(found.len(), 1, "{address} must be in exactly one range: {found:?}");
    found[0].1
}

fn service_of(ruleset: &Ruleset, service: FlowService) -> Service {
    match service {
        FlowService::Tcp(port) => in_ranges(&ruleset.tcp, port),
        FlowService::Udp(port) => in_ranges(&ruleset.udp, port),
        FlowService::Icmp(kind) => in_ranges(&ruleset.icmp, kind),
        FlowService::Icmpv6(kind) => in_ranges(&ruleset.icmpv6, kind),
        FlowService::Proto(number) => in_ranges(&ruleset.protocols, number),
    }
}

fn in_ranges<T: PartialOrd + std::fmt::Debug>(ranges: &[(RangeInclusive<T>, Service)], number: T) -> Service {
    let found: Vec<_> = ranges.iter().filter(|(range, _)| range.contains(&number)).collect();
    assert_eq!(found.len(), 1, "{number:?} must be in exactly one range: {found:?}");
    found[0].1
}

/// `VERDICT RULE[ would VERDICT RULE]` of a flow with a peer, from the outcome table.
pub fn told(program: &Program, inbound: bool, peer: IpAddr, service: FlowService) -> String {
    let word = look_up(&program.ruleset, inbound, peer, service);
    program.outcomes.get(&word.number()).unwrap().comment()
}

/// The same of a flow that reaches this machine for that address.
pub fn told_for(program: &Program, to: IpAddr, peer: IpAddr, service: FlowService) -> String {
    let word = look_up_for(&program.ruleset, to, peer, service);
    program.outcomes.get(&word.number()).unwrap().comment()
}

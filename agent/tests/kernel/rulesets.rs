//! Small rulesets: three classes of peers, a service of each protocol.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_core::{Action, Builtin, Class, IpRange, Place, Ruleset, Service, Word};

use crate::world::{OTHER, PEER, VM};

pub(crate) const DENY: Word = Word::new(Action::Deny, false, 16);
pub(crate) const REJECT: Word = Word::new(Action::Reject, false, 17);
pub(crate) const ALLOW: Word = Word::new(Action::Allow, true, 18);
pub(crate) const QUIET: Word = Word::new(Action::Allow, false, 19);
pub(crate) const DEFAULT: Word = Word::new(Action::Deny, false, 20);

pub(crate) const UNKNOWN: Word = Word::new(Action::Deny, false, 21);

pub(crate) const GROUPS: Place = Place::Other(1);
pub(crate) const PORT: u16 = 7000;
pub(crate) const REST: Service = Service(0);
pub(crate) const TCP: Service = Service(1);
pub(crate) const UDP: Service = Service(2);
pub(crate) const ECHO: Service = Service(3);
pub(crate) const ECHO6: Service = Service(4);
pub(crate) const PEERS: Class = Class(1);

/// Everything is denied by the default.
pub(crate) fn closed(epoch: u16) -> Ruleset {
    let mut outcomes: BTreeMap<_, _> =
        Builtin::ALL.into_iter().map(|one| (one.word(), format!("deny {}", one.rule()).into())).collect();
    for (word, comment) in [
        (DENY, "deny d"),
        (REJECT, "reject r"),
        (ALLOW, "allow a"),
        (QUIET, "allow q"),
        (DEFAULT, "deny default"),
        (UNKNOWN, "deny u"),
    ] {
        outcomes.insert(word, comment.into());
    }
    let peer = |all: [&str; 2], class| all.map(|ip| (ip.parse::<IpAddr>().unwrap(), class));
    let port = |service| vec![(0..=PORT - 1, REST), (PORT..=PORT, service), (PORT + 1..=u16::MAX, REST)];
    let kind = |kind: u8, service| vec![(0..=kind - 1, REST), (kind..=kind, service), (kind + 1..=255, REST)];
    Ruleset {
        epoch,
        center: None,
        dhcp: false,
        own: VM.map(|ip| ip.parse().unwrap()).into(),
        peers: peer(PEER, PEERS).into_iter().chain(peer(OTHER, Class(2))).collect(),
        networks: vec![
            whole(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
            whole(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from([255; 16]).into()),
        ],
        places: places(),
        tcp: port(TCP),
        udp: port(UDP),
        icmp: kind(8, ECHO),
        icmpv6: kind(128, ECHO6),
        protocols: vec![(0..=255, REST)],
        inbound: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
        outbound: BTreeMap::new(),
        default_in: DEFAULT,
        default_out: DEFAULT,
        outcomes_in: outcomes.clone(),
        outcomes_out: outcomes,
        weighed: Default::default(),
    }
}

/// The machine's own addresses, multicast ones as one other place, and all that is nobody's.
fn places() -> Vec<(IpRange, Place)> {
    let between = |start: &str, end: &str, place| {
        let ends = [start, end].map(|ip| ip.parse().unwrap());
        (IpRange { start: ends[0], end: ends[1] }, place)
    };
    vec![
        between("0.0.0.0", "10.98.0.0", Place::Denied(UNKNOWN)),
        between(VM[0], VM[0], Place::Own),
        between("10.98.0.2", "223.255.255.255", Place::Denied(UNKNOWN)),
        between("224.0.0.0", "239.255.255.255", GROUPS),
        between("240.0.0.0", "255.255.255.255", Place::Denied(UNKNOWN)),
        between("::", "fd98::", Place::Denied(UNKNOWN)),
        between(VM[1], VM[1], Place::Own),
        between("fd98::2", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Place::Denied(UNKNOWN)),
        between("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", GROUPS),
    ]
}

fn whole(start: IpAddr, end: IpAddr) -> (IpRange, Class) {
    (IpRange { start, end }, Class(0))
}

/// The peer's four services get this word, in both directions.
pub(crate) fn open(epoch: u16, inbound: Word, outbound: Word) -> Ruleset {
    let mut ruleset = closed(epoch);
    for service in [TCP, UDP, ECHO, ECHO6] {
        ruleset.inbound.insert((PEERS, service), inbound);
        ruleset.outbound.insert((PEERS, service), outbound);
    }
    ruleset
}

//! One value of each message, with every field set.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use policy::{
    Action, AddressGroup, End, Family, Mode, Outage, Protocol, Response, ServiceMatch, Verdict, Watch, Would,
};
use wire::{
    Ack, AckResult, AgentState, CenterStatus, Direction, Elsewhere, FlowEnd, Hello, InventoryFile, InventoryVm, Kind,
    Outside, Peer, PolicyVersion, Presence, Record, RecordKey, RecordQuery, SealedView, Set, Suspension, View,
    ViewDetector, ViewRule,
};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

fn group() -> AddressGroup {
    let name = "office".parse().expect("a name");
    AddressGroup {
        name,
        includes: vec![net("10.9.0.0/16"), net("2001:db8:9::/48")],
        excludes: vec![net("10.9.3.0/24")],
    }
}

pub(crate) fn view() -> View {
    let peer = |vm: &str, addresses: &[&str]| Peer {
        vm: vm.into(),
        addresses: addresses.iter().map(|address| ip(address)).collect(),
    };
    let set = |vms: &[u32], outside| Set { vms: vms.to_vec(), outside };
    View {
        generation: 7,
        vm: "db".into(),
        addresses: vec![ip("10.98.0.2"), ip("fd98::2")],
        center: Some("10.98.255.254:7443".parse().expect("a socket's address")),
        managed: vec![net("10.98.0.0/16"), net("fd98::/48")],
        peers: vec![peer("app", &[]), peer("web", &["10.98.0.1", "fd98::1"])],
        sets: vec![
            set(&[0, 1], Outside::None),
            set(&[], Outside::All),
            set(&[1], Outside::Groups(vec![group().into()])),
        ],
        rules: rules(),
        detectors: detectors(),
        default: Verdict::Deny,
        mode: Mode::Enforce,
        quarantined: true,
        dhcp: true,
        record_all: true,
        now: 1_795_000_000_123,
        outage: Outage::KeepLast,
    }
}

pub(crate) fn sealed() -> SealedView {
    let sign = |signed: &[u8]| Ok::<_, ()>(signed[..20].to_vec());
    SealedView::new(view(), sign).expect("it is signed")
}

fn detectors() -> Vec<ViewDetector> {
    let detector = |name: &str, watch, then| ViewDetector { name: name.into(), watch, within: 10_000, peers: 1, then };
    vec![
        detector("port-scan", Watch::Scan { ports: 20 }, Response::Alert),
        detector("sweep", Watch::Sweep { peers: 15 }, Response::Intercept(Duration::from_secs(600))),
        detector("flood", Watch::Flood { connections: 1000 }, Response::Quarantine(Duration::from_secs(60))),
        detector("volume", Watch::Volume { bytes: 5 << 40 }, Response::Alert),
    ]
}

fn rules() -> Vec<ViewRule> {
    let every = vec![
        ServiceMatch::Any,
        ServiceMatch::Ports { tcp: true, first: 8000, last: 8100 },
        ServiceMatch::Ports { tcp: false, first: 53, last: 53 },
        ServiceMatch::Icmp(Some(8)),
        ServiceMatch::Icmp(None),
        ServiceMatch::Icmpv6(Some(128)),
        ServiceMatch::Icmpv6(None),
        ServiceMatch::Proto(47),
    ];
    let first = ViewRule {
        name: "web-to-db".into(),
        action: Action::Allow,
        services: every,
        inbound: Some(0),
        outbound: None,
        elsewhere: Some(Elsewhere { from: 0, to: 2 }),
        tier: 0,
        log: true,
        mode: Mode::Monitor,
        until: Some(1_795_000_100_000),
    };
    let second = ViewRule {
        name: "no-telnet".into(),
        action: Action::Reject,
        services: vec![ServiceMatch::Ports { tcp: true, first: 23, last: 23 }],
        inbound: Some(2),
        outbound: Some(1),
        elsewhere: None,
        tier: 1,
        log: false,
        mode: Mode::Enforce,
        until: None,
    };
    let third = ViewRule { name: "own/handed-down".into(), action: Action::Pass, tier: 2, ..second.clone() };
    vec![first, second, third]
}

pub(crate) fn record() -> Record {
    Record {
        key: RecordKey { vm: "db".into(), boot: "00c0ffee00c0ffee".into(), sequence: 42 },
        kind: Kind::Cut,
        direction: Direction::In,
        source: FlowEnd { vm: Some("web".into()), address: ip("10.98.0.1"), port: 40_000 },
        destination: FlowEnd { vm: None, address: ip("10.98.0.2"), port: 5432 },
        family: Family::V4,
        protocol: Protocol::Tcp,
        icmp_type: 8,
        icmp_id: 0x1234,
        tcp_sequence: Some(0xdead_beef),
        payload: vec![1, 2, 3],
        verdict: Verdict::Reject,
        rule: "no-web".into(),
        admitted_by: Some("web-to-db".into()),
        end: End::Destination,
        would: Some(Would { verdict: Verdict::Deny, rule: Some("default".into()), end: Some(End::Source) }),
        monitor: true,
        generation_first: 6,
        generation_last: 7,
        packets: 3,
        detail: "because".into(),
        stamp: 123_456_789,
    }
}

pub(crate) fn alert() -> Record {
    let nowhere = |vm: &str, address| FlowEnd { vm: Some(vm.into()), address: ip(address), port: 0 };
    Record {
        kind: Kind::Alert,
        source: nowhere("web", "10.98.0.1"),
        destination: nowhere("db", "10.98.0.2"),
        verdict: Verdict::Allow,
        rule: "eastwest/detect/port-scan".into(),
        admitted_by: None,
        would: None,
        packets: 20,
        detail: "20 ports".into(),
        ..record()
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        protocol: 1,
        capabilities: vec!["cut".into()],
        version: "0.1.0".into(),
        boot: "00c0ffee00c0ffee".into(),
        addresses: vec![ip("10.98.0.2"), ip("fd98::2")],
        generation: 6,
    }
}

pub(crate) fn in_force() -> Ack {
    Ack { generation: 7, result: AckResult::InForce }
}

pub(crate) fn refused() -> Ack {
    Ack { generation: 8, result: AckResult::Refused { reason: "no room".into() } }
}

pub(crate) fn suspension() -> Suspension {
    Suspension { left: Duration::from_secs(600), by: "uid 0".into() }
}

pub(crate) fn inventory() -> InventoryFile {
    let vm = |managed, addresses: &[&str], allowed: &[&str]| InventoryVm {
        labels: [("app", "db"), ("env", "prod")].map(|(key, value)| (key.into(), value.into())).into(),
        addresses: addresses.iter().map(|address| ip(address)).collect(),
        allowed: allowed.iter().map(|prefix| net(prefix)).collect(),
        managed,
        dhcp: managed,
        mode: if managed { Mode::Monitor } else { Mode::Enforce },
    };
    let db = vm(true, &["10.98.0.2", "fd98::2"], &["10.98.0.0/24"]);
    let vms = [("db", db), ("printer", vm(false, &["10.98.0.9"], &[]))];
    let named = |(name, vm): (&str, InventoryVm)| (name.parse().expect("a name"), vm);
    InventoryFile { managed: vec![net("10.98.0.0/16")], vms: vms.map(named).into(), record_all: true }
}

pub(crate) fn query() -> RecordQuery {
    RecordQuery {
        vm: Some("db".into()),
        kind: Some(Kind::Deny),
        rule: Some("default".into()),
        address: Some(ip("fd98::1")),
        port: Some(23),
        after: 99,
        limit: 10,
    }
}

pub(crate) fn agent() -> AgentState {
    AgentState {
        vm: "db".into(),
        presence: Presence::Stale,
        acked: 6,
        refused: Some((7, "no room".into())),
        quarantined: true,
        clones: 0,
        stale_since: None,
        suspended_until: Some(1_795_000_600_000),
    }
}

pub(crate) fn status() -> CenterStatus {
    CenterStatus {
        generation: 7,
        agents: vec![agent()],
        listen: Some("[fd98::ffff:fffe]:7443".parse().expect("a socket's address")),
        held: vec![ip("10.98.0.3")],
    }
}

pub(crate) fn version() -> PolicyVersion {
    PolicyVersion { generation: 7, published: 1_795_000_000_000, text: "eastwest: policy/v1\n".into() }
}

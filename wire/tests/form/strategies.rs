//! Every value that a message can carry.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use policy::{
    Action, AddressGroup, End, Family, Mode, Name, Outage, Protocol, Response, ServiceMatch, Verdict, Watch, Would,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use wire::{
    Ack, AckResult, AgentState, CenterEvent, CenterStatus, Direction, Elsewhere, FlowEnd, FromAgent, FromCenter, Hello,
    InventoryFile, InventoryVm, Kind, Outside, Peer, PolicyVersion, Presence, Record, RecordKey, RecordQuery,
    SealedView, Set, StoredRecord, Suspension, View, ViewDetector, ViewRule,
};

fn text() -> BoxedStrategy<String> {
    "\\PC{0,12}".boxed()
}

fn name() -> BoxedStrategy<Name> {
    "[a-z0-9][a-z0-9._-]{0,8}".prop_map(|text| text.parse().expect("a name")).boxed()
}

fn prefix() -> impl Strategy<Value = IpNet> {
    (any::<IpAddr>(), 0..=128_u8).prop_map(|(address, length)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, length.min(most)).expect("a prefix")
    })
}

/// IPv6 flow labels and scopes are no part of the form.
fn socket() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(address, port)| SocketAddr::new(address, port))
}

fn action() -> impl Strategy<Value = Action> {
    select(vec![Action::Allow, Action::Deny, Action::Reject, Action::Pass])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    select(vec![Verdict::Allow, Verdict::Deny, Verdict::Reject])
}

fn mode() -> impl Strategy<Value = Mode> {
    select(vec![Mode::Enforce, Mode::Monitor])
}

fn end() -> impl Strategy<Value = End> {
    select(vec![End::Source, End::Destination])
}

fn service() -> impl Strategy<Value = ServiceMatch> {
    prop_oneof![
        Just(ServiceMatch::Any),
        any::<(bool, u16, u16)>().prop_map(|(tcp, first, last)| ServiceMatch::Ports { tcp, first, last }),
        any::<Option<u8>>().prop_map(ServiceMatch::Icmp),
        any::<Option<u8>>().prop_map(ServiceMatch::Icmpv6),
        any::<u8>().prop_map(ServiceMatch::Proto),
    ]
}

fn outside() -> impl Strategy<Value = Outside> {
    let group = (name(), vec(prefix(), 0..3), vec(prefix(), 0..3));
    let group = group.prop_map(|(name, includes, excludes)| AddressGroup { name, includes, excludes }.into());
    prop_oneof![Just(Outside::None), Just(Outside::All), vec(group, 0..3).prop_map(Outside::Groups)]
}

fn index(length: usize) -> BoxedStrategy<Option<u32>> {
    let most = u32::try_from(length).expect("a short list");
    if most == 0 { Just(None).boxed() } else { of(0..most).boxed() }
}

fn rule(sets: usize) -> impl Strategy<Value = ViewRule> {
    let elsewhere = (index(sets), index(sets)).prop_map(|(from, to)| Some(Elsewhere { from: from?, to: to? }));
    let head = (text(), action(), vec(service(), 0..4), index(sets), index(sets), elsewhere);
    (head, any::<(bool, u32)>(), mode(), any::<Option<i64>>()).prop_map(
        |((name, action, services, inbound, outbound, elsewhere), (log, tier), mode, until)| ViewRule {
            name,
            action,
            services,
            inbound,
            outbound,
            elsewhere,
            tier,
            log,
            mode,
            until,
        },
    )
}

fn set(peers: usize) -> impl Strategy<Value = Set> {
    let vms = vec(index(peers), 0..4).prop_map(|vms| vms.into_iter().flatten().collect());
    (vms, outside()).prop_map(|(vms, outside)| Set { vms, outside })
}

/// `None` where there is no set to point at.
fn detector(sets: usize) -> impl Strategy<Value = Option<ViewDetector>> {
    let watch = prop_oneof![
        any::<u32>().prop_map(|ports| Watch::Scan { ports }),
        any::<u32>().prop_map(|peers| Watch::Sweep { peers }),
        any::<u32>().prop_map(|connections| Watch::Flood { connections }),
        any::<u64>().prop_map(|bytes| Watch::Volume { bytes }),
    ];
    let time = || any::<u64>().prop_map(Duration::from_millis);
    let then = prop_oneof![
        Just(Response::Alert),
        time().prop_map(Response::Intercept),
        time().prop_map(Response::Quarantine),
    ];
    (text(), watch, any::<u64>(), index(sets), then)
        .prop_map(|(name, watch, within, peers, then)| Some(ViewDetector { name, watch, within, peers: peers?, then }))
}

pub(crate) fn view() -> impl Strategy<Value = View> {
    let peer = (text(), vec(any::<IpAddr>(), 0..3)).prop_map(|(vm, addresses)| Peer { vm, addresses });
    let body = (vec(peer, 0..4), 0..4_usize).prop_flat_map(|(peers, sets)| {
        let sets_of = vec(set(peers.len()), sets);
        (Just(peers), sets_of, vec(rule(sets), 0..4), vec(detector(sets), 0..3))
    });
    let head = (any::<u64>(), text(), vec(any::<IpAddr>(), 0..3), of(socket()), vec(prefix(), 0..3));
    (head, body, verdict(), mode(), (any::<(bool, bool, bool, i64)>(), outage())).prop_map(
        |(head, body, default, mode, last)| {
            let (generation, vm, addresses, center, managed) = head;
            let ((peers, sets, rules, detectors), ((quarantined, dhcp, record_all, now), outage)) = (body, last);
            View {
                generation,
                vm,
                addresses,
                center,
                managed,
                peers,
                sets,
                rules,
                detectors: detectors.into_iter().flatten().collect(),
                default,
                mode,
                quarantined,
                dhcp,
                record_all,
                now,
                outage,
            }
        },
    )
}

fn outage() -> impl Strategy<Value = Outage> {
    prop_oneof![Just(Outage::KeepLast), Just(Outage::Closed), any::<u32>().prop_map(Outage::Lease)]
}

fn kind() -> impl Strategy<Value = Kind> {
    select(vec![
        Kind::Allow,
        Kind::Deny,
        Kind::Cut,
        Kind::Invalid,
        Kind::Barrier,
        Kind::Gap,
        Kind::Tamper,
        Kind::Alert,
        Kind::Aggregated,
        Kind::Suppressed,
    ])
}

fn flow_end() -> impl Strategy<Value = FlowEnd> {
    (of(text()), any::<IpAddr>(), any::<u16>()).prop_map(|(vm, address, port)| FlowEnd { vm, address, port })
}

/// A protocol by its number has one form.
fn protocol() -> impl Strategy<Value = Protocol> {
    any::<u8>().prop_map(|number| match number {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        1 => Protocol::Icmp,
        58 => Protocol::Icmpv6,
        other => Protocol::Other(other),
    })
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let key = (text(), text(), any::<u64>()).prop_map(|(vm, boot, sequence)| RecordKey { vm, boot, sequence });
    let way = select(vec![Direction::In, Direction::Out]);
    let family = select(vec![Family::V4, Family::V6]);
    let flow = (flow_end(), flow_end(), family, protocol(), any::<(u8, u16, Option<u32>)>());
    let would = (verdict(), of(text()), of(end())).prop_map(|(verdict, rule, end)| Would { verdict, rule, end });
    let judged = (verdict(), text(), of(text()), end(), of(would));
    let rest = (any::<(bool, u64, u64, u64, u64)>(), text(), vec(any::<u8>(), 0..=wire::MAX_PAYLOAD));
    (key, kind(), way, flow, judged, rest).prop_map(|(key, kind, direction, flow, judged, rest)| {
        let (source, destination, family, protocol, (icmp_type, icmp_id, tcp_sequence)) = flow;
        let (verdict, rule, admitted_by, end, would) = judged;
        let ((monitor, generation_first, generation_last, packets, stamp), detail, payload) = rest;
        Record {
            key,
            kind,
            direction,
            source,
            destination,
            family,
            protocol,
            icmp_type,
            icmp_id,
            tcp_sequence,
            payload,
            verdict,
            rule,
            admitted_by,
            end,
            would,
            monitor,
            generation_first,
            generation_last,
            packets,
            detail,
            stamp,
        }
    })
}

fn hello() -> impl Strategy<Value = Hello> {
    let head = (any::<u32>(), vec(text(), 0..3), text(), text());
    (head, vec(any::<IpAddr>(), 0..4), any::<u64>()).prop_map(|(head, addresses, generation)| {
        let (protocol, capabilities, version, boot) = head;
        Hello { protocol, capabilities, version, boot, addresses, generation }
    })
}

fn ack() -> impl Strategy<Value = Ack> {
    let result = prop_oneof![Just(AckResult::InForce), text().prop_map(|reason| AckResult::Refused { reason })];
    (any::<u64>(), result).prop_map(|(generation, result)| Ack { generation, result })
}

pub(crate) fn from_agent() -> impl Strategy<Value = FromAgent> {
    prop_oneof![
        hello().prop_map(FromAgent::Hello),
        ack().prop_map(FromAgent::Ack),
        vec(record(), 0..4).prop_map(FromAgent::Records),
        Just(FromAgent::Heartbeat),
        vec(any::<IpAddr>(), 0..4).prop_map(FromAgent::Addresses),
        (any::<u64>(), text())
            .prop_map(|(millis, by)| { FromAgent::Suspension(Suspension { left: Duration::from_millis(millis), by }) }),
    ]
}

pub(crate) fn from_center() -> impl Strategy<Value = FromCenter> {
    prop_oneof![
        (any::<(u32, i64)>(), 10_u64..3_600_001).prop_map(|((protocol, now), millis)| {
            FromCenter::Welcome { protocol, now, heartbeat: Duration::from_millis(millis) }
        }),
        view().prop_map(|view| FromCenter::View(Box::new(view))),
        (view(), vec(any::<u8>(), 0..80)).prop_map(|(view, signature)| {
            let sealed = SealedView::new(view, |_| Ok::<_, ()>(signature));
            FromCenter::Sealed(Box::new(sealed.expect("it is signed")))
        }),
        (text(), any::<u64>()).prop_map(|(boot, up_to)| FromCenter::Stored { boot, up_to }),
        any::<i64>().prop_map(|now| FromCenter::Heartbeat { now }),
        text().prop_map(|reason| FromCenter::Refused { reason }),
    ]
}

pub(crate) fn inventory() -> impl Strategy<Value = InventoryFile> {
    let labels = btree_map(text(), text(), 0..3);
    let vm = (labels, vec(any::<IpAddr>(), 0..3), vec(prefix(), 0..3), (any::<(bool, bool)>(), mode()));
    let vm = vm.prop_map(|(labels, addresses, allowed, ((managed, dhcp), mode))| InventoryVm {
        labels,
        addresses,
        allowed,
        managed,
        dhcp,
        mode,
    });
    (vec(prefix(), 0..3), btree_map(name(), vm, 0..4), any::<bool>())
        .prop_map(|(managed, vms, record_all)| InventoryFile { managed, vms, record_all })
}

pub(crate) fn query() -> impl Strategy<Value = RecordQuery> {
    let texts = (of(text()), of(kind()), of(text()));
    (texts, any::<Option<IpAddr>>(), any::<(Option<u16>, u64, u32)>()).prop_map(|(texts, address, rest)| {
        let ((vm, kind, rule), (port, after, limit)) = (texts, rest);
        RecordQuery { vm, kind, rule, address, port, after, limit }
    })
}

fn agent() -> impl Strategy<Value = AgentState> {
    let presence = select(vec![Presence::Unenrolled, Presence::Online, Presence::Stale, Presence::Offline]);
    (text(), presence, any::<u64>(), of((any::<u64>(), text())), any::<(bool, u64, Option<i64>, Option<i64>)>())
        .prop_map(|(vm, presence, acked, refused, (quarantined, clones, stale_since, suspended_until))| AgentState {
            vm,
            presence,
            acked,
            refused,
            quarantined,
            clones,
            stale_since,
            suspended_until,
        })
}

pub(crate) fn status() -> impl Strategy<Value = CenterStatus> {
    (any::<u64>(), vec(agent(), 0..3), of(socket()), vec(any::<IpAddr>(), 0..3))
        .prop_map(|(generation, agents, listen, held)| CenterStatus { generation, agents, listen, held })
}

pub(crate) fn version() -> impl Strategy<Value = PolicyVersion> {
    (any::<(u64, i64)>(), text()).prop_map(|((generation, published), text)| PolicyVersion {
        generation,
        published,
        text,
    })
}

pub(crate) fn stored() -> impl Strategy<Value = StoredRecord> {
    (any::<u64>(), record()).prop_map(|(id, record)| StoredRecord { id, record })
}

pub(crate) fn event() -> impl Strategy<Value = CenterEvent> {
    prop_oneof![
        record().prop_map(|record| CenterEvent::Record(Box::new(record))),
        any::<u64>().prop_map(|generation| CenterEvent::Published { generation }),
        agent().prop_map(CenterEvent::Agent),
        (text(), text()).prop_map(|(vm, detail)| CenterEvent::Alert { vm, detail }),
        any::<u64>().prop_map(|count| CenterEvent::Missed { count }),
    ]
}

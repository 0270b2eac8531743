//! Random views: the compiled maps against a naive first match over the view itself.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod views;

use std::net::IpAddr;

use agent_core::{Numbering, compile};
use ipnet::IpNet;
use policy::{Action, AddressGroup, Family, FlowService, Mode, ServiceMatch, Verdict};
use proptest::prelude::*;
use views::{told, told_for, view};
use wire::{Elsewhere, Outside, Set, View, ViewRule};

const NOW: i64 = 100;

/// Which flows are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Out,
    In,
    /// What reaches this machine for that address.
    For(IpAddr),
}

/// The slow, obvious definition.
fn naive(view: &View, way: Way, peer: IpAddr, service: FlowService) -> String {
    if view.quarantined {
        return "deny eastwest/quarantine".to_owned();
    }
    let local = |address| is("169.254.0.0/16", address) || is("fe80::/10", address);
    let others = if let Way::For(to) = way { Some(to).filter(|to| !view.addresses.contains(to)) } else { None };
    if local(peer) || others.is_some_and(local) {
        return "deny eastwest/link-local".to_owned();
    }
    let owner = |address| view.peers.iter().position(|one| one.addresses.contains(&address));
    let (vm, taken) = (owner(peer), others.is_some_and(|to| owner(to).is_some()));
    if taken || is_unknown(view, peer, vm) || others.is_some_and(|to| is_unknown(view, to, None)) {
        return "deny eastwest/unknown".to_owned();
    }
    let matches = |rule: &&ViewRule| {
        let set = match (way, others) {
            (Way::Out, _) => rule.outbound,
            (Way::In | Way::For(_), None) => rule.inbound,
            (Way::In | Way::For(_), Some(to)) => {
                rule.elsewhere.filter(|both| holds(&view.sets[both.to as usize], None, to)).map(|both| both.from)
            }
        };
        set.is_some_and(|set| holds(&view.sets[set as usize], vm, peer))
            && rule.services.iter().any(|item| item.covers(service))
            && rule.until.is_none_or(|until| NOW < until)
    };
    // A rule that passes leaves what it matches to the tiers behind its own.
    let first = |live: bool| {
        let (mut left, acts) = (None, |rule: &&ViewRule| live || rule.mode == Mode::Enforce);
        view.rules.iter().filter(acts).filter(matches).find(|rule| {
            let here = left != Some(rule.tier);
            left = if here && rule.action == Action::Pass { Some(rule.tier) } else { left };
            here && rule.action != Action::Pass
        })
    };
    let told = |rule: Option<&ViewRule>, end: (Verdict, &str)| {
        rule.map_or(format!("{} {}", end.0, end.1), |rule| format!("{} {}", rule.action, rule.name))
    };
    let default = (view.default, "default");
    let end = if view.mode == Mode::Monitor { (Verdict::Allow, "eastwest/monitor") } else { default };
    let verdict = told(first(false), end);
    let would = told(first(true), default);
    if verdict == would { verdict } else { format!("{verdict} would {would}") }
}

/// Whether an address lies in a managed network and is nobody's.
fn is_unknown(view: &View, address: IpAddr, owner: Option<usize>) -> bool {
    let group = ["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"].into_iter().any(|net| is(net, address));
    owner.is_none() && !group && view.managed.iter().any(|net| net.contains(&address))
}

fn is(net: &str, address: IpAddr) -> bool {
    net.parse::<IpNet>().unwrap().contains(&address)
}

fn holds(set: &Set, vm: Option<usize>, peer: IpAddr) -> bool {
    if let Some(vm) = vm {
        return set.vms.iter().any(|index| *index as usize == vm);
    }
    match &set.outside {
        Outside::None => false,
        Outside::All => true,
        Outside::Groups(groups) => groups.iter().any(|group| in_group(group, peer)),
    }
}

fn in_group(group: &AddressGroup, peer: IpAddr) -> bool {
    let includes = group.includes.iter().map(|net| (net, true));
    let all = includes.chain(group.excludes.iter().map(|net| (net, false)));
    all.filter(|(net, _)| net.contains(&peer))
        .max_by_key(|(net, inside)| (net.prefix_len(), !inside))
        .is_some_and(|(_, inside)| inside)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Allow), Just(Action::Deny), Just(Action::Reject), Just(Action::Pass)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Allow), Just(Verdict::Deny), Just(Verdict::Reject)]
}

fn item() -> impl Strategy<Value = ServiceMatch> {
    let port = prop_oneof![Just(0_u16), Just(65535), 78_u16..84];
    prop_oneof![
        1 => Just(ServiceMatch::Any),
        6 => (any::<bool>(), port, 0_u16..4).prop_map(|(tcp, first, more)| ServiceMatch::Ports { tcp, first, last: first.saturating_add(more) }),
        1 => proptest::option::of(7_u8..9).prop_map(ServiceMatch::Icmp),
        1 => proptest::option::of(127_u8..130).prop_map(ServiceMatch::Icmpv6),
        1 => (46_u8..49).prop_map(ServiceMatch::Proto),
    ]
}

fn net() -> impl Strategy<Value = IpNet> {
    let v4 =
        (prop_oneof![Just([10_u8, 9, 3, 130]), Just([10, 98, 0, 2]), Just([224, 0, 0, 9]), Just([255; 4])], 0_u8..33)
            .prop_map(|(address, len)| IpNet::new(address.into(), len).unwrap().trunc());
    let v6 = (prop_oneof![Just("fd98::2"), Just("2001:db8:9::7"), Just("ffff:ffff::"), Just("fe80::9")], 0_u8..129)
        .prop_map(|(address, len)| IpNet::new(address.parse().unwrap(), len).unwrap().trunc());
    prop_oneof![v4, v6]
}

fn set() -> impl Strategy<Value = Set> {
    let nets = || proptest::collection::vec(net(), 0..5);
    let group = (nets(), nets())
        .prop_map(|(includes, excludes)| AddressGroup { name: "g".parse().unwrap(), includes, excludes }.into());
    let outside = prop_oneof![
        Just(Outside::None),
        Just(Outside::All),
        proptest::collection::vec(group, 1..3).prop_map(Outside::Groups)
    ];
    (proptest::collection::btree_set(0_u32..4, 0..5), outside)
        .prop_map(|(vms, outside)| Set { vms: vms.into_iter().collect(), outside })
}

fn some_rule() -> impl Strategy<Value = ViewRule> {
    let side = || proptest::option::weighted(0.8, 0_u32..4);
    let until = proptest::option::weighted(0.2, 99_i64..102);
    let mode = prop_oneof![4 => Just(Mode::Enforce), 1 => Just(Mode::Monitor)];
    // Most rules hold for many addresses as for this machine's.
    let to = prop_oneof![1 => Just(None), 1 => Just(Some(None)), 1 => (0_u32..4, 0_u32..4).prop_map(|both| Some(Some(both)))];
    let elsewhere = |inbound: Option<u32>, to| match to {
        None => None,
        Some(None) => inbound.map(|from| Elsewhere { from, to: 0 }),
        Some(Some((from, to))) => Some(Elsewhere { from, to }),
    };
    let sides = (side(), side(), to);
    ((0_u8..9, 0_u32..3), action(), proptest::collection::vec(item(), 1..4), sides, until, mode).prop_map(
        move |((name, tier), action, services, (inbound, outbound, to), until, mode)| ViewRule {
            name: format!("r{name}"),
            action,
            services,
            inbound,
            outbound,
            elsewhere: elsewhere(inbound, to),
            tier,
            log: false,
            mode,
            until,
        },
    )
}

fn some_view() -> impl Strategy<Value = View> {
    let rules = proptest::collection::vec(some_rule(), 0..7);
    let sets = proptest::collection::vec(set(), 4);
    let mode = prop_oneof![5 => Just(Mode::Enforce), 1 => Just(Mode::Monitor)];
    (rules, sets, verdict(), mode, proptest::bool::weighted(0.05)).prop_map(
        |(mut rules, sets, default, mode, quarantined)| {
            rules.sort_by_key(|rule: &ViewRule| rule.tier);
            View { rules, sets, default, mode, quarantined, ..view() }
        },
    )
}

fn peers() -> Vec<IpAddr> {
    let text = "10.98.0.2 10.98.0.3 10.98.0.5 10.98.0.9 10.97.255.255 10.9.3.129 10.9.3.130 10.9.3.131 10.9.0.1 224.0.0.9 \
                0.0.0.0 255.255.255.255 169.254.1.1 fd98::2 fd98::4 fd98::9 2001:db8:9::7 2001:db8:9::8 ff02::fb fe80::9 :: \
                ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    text.split_whitespace().map(|address| address.parse().unwrap()).collect()
}

/// For what addresses flows may reach this machine: its own, another's, unknown ones, of no VM.
fn places() -> Vec<IpAddr> {
    let text = "10.98.0.1 10.98.0.2 10.98.0.9 10.98.255.255 10.9.3.130 224.0.0.9 224.0.0.8 255.255.255.255 169.254.1.1 \
                172.17.0.1 fd98::1 fd98::2 fd98::9 2001:db8:9::7 ff02::fb fe80::9";
    text.split_whitespace().map(|address| address.parse().unwrap()).collect()
}

fn services() -> Vec<FlowService> {
    let ports = || [0, 1, 77, 78, 79, 80, 81, 82, 83, 84, 86, 87, 65534, 65535].into_iter();
    let mut all: Vec<_> = ports().map(FlowService::Tcp).chain(ports().map(FlowService::Udp)).collect();
    all.extend((6..10).map(FlowService::Icmp));
    all.extend((126..131).map(FlowService::Icmpv6));
    all.extend((45..50).map(FlowService::Proto));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn maps_and_first_match_agree(view in some_view()) {
        let program = compile(&view, Some(NOW), &mut Numbering::default()).unwrap();
        for peer in peers() {
            for service in services().into_iter().filter(|service| service.exists_in(Family::of(peer))) {
                for way in [Way::In, Way::Out] {
                    prop_assert_eq!(told(&program, way == Way::In, peer, service), naive(&view, way, peer, service),
                        "{:?} {} {:?}", way, peer, service);
                }
                for to in places().into_iter().filter(|to| to.is_ipv4() == peer.is_ipv4()) {
                    prop_assert_eq!(told_for(&program, to, peer, service), naive(&view, Way::For(to), peer, service),
                        "for {} from {} {:?}", to, peer, service);
                }
            }
        }
    }

    /// A rule that never decides changes nothing, so the kernel need not be touched.
    #[test]
    fn what_never_decides_leaves_no_trace(mut view in some_view(), extra in some_rule()) {
        view.rules.retain(|rule| rule.action != Action::Pass);
        let mut numbering = Numbering::default();
        let before = compile(&view, Some(NOW), &mut numbering).unwrap();
        let mut longer = view.clone();
        longer.rules.extend(view.rules.iter().cloned());
        longer.rules.extend(view.rules.first().map(|first| ViewRule { action: extra.action, name: "never".to_owned(), ..first.clone() }));
        let after = compile(&longer, Some(NOW), &mut numbering).unwrap();
        prop_assert_eq!(before.ruleset, after.ruleset);
    }
}

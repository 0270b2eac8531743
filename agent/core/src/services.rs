//! Splits ports, types and protocols at the boundaries of all rules' services.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use policy::{ServiceMatch, Services};

/// Ranges of one protocol's numbers, each with the index of its service class.
pub(crate) type Ranges = Vec<(RangeInclusive<u32>, usize)>;

/// All services, split into classes that no rule tells apart.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    /// TCP ports.
    pub(crate) tcp: Ranges,
    /// UDP ports.
    pub(crate) udp: Ranges,
    /// ICMP types.
    pub(crate) icmp: Ranges,
    /// `ICMPv6` types.
    pub(crate) icmpv6: Ranges,
    /// All other protocols.
    pub(crate) protocols: Ranges,
    /// For each rule the classes that it covers.
    pub(crate) covered: Vec<Vec<usize>>,
    /// How many classes there are.
    pub(crate) classes: usize,
}

/// The part of a protocol's numbers that one rule covers.
type Piece = (u32, u32, usize);

/// Splits the services of rules, given in order.
pub(crate) fn split(rules: &[&Services]) -> Partition {
    let mut classes = BTreeMap::new();
    let mut ranges = |last: u32, pieces: fn(ServiceMatch) -> Option<(u32, u32)>| {
        let pieces = pieces_of(rules, pieces);
        ranges_of(last, &pieces, &mut classes)
    };
    let tcp = ranges(0xffff, |item| ports(item, true));
    let udp = ranges(0xffff, |item| ports(item, false));
    let icmp = ranges(0xff, icmp_types);
    let icmpv6 = ranges(0xff, icmpv6_types);
    let protocols = ranges(0xff, protocol);
    let mut covered = vec![Vec::new(); rules.len()];
    for (signature, class) in &classes {
        for &rule in signature {
            covered[rule].push(*class);
        }
    }
    Partition { tcp, udp, icmp, icmpv6, protocols, covered, classes: classes.len() }
}

/// The pieces of every rule under one protocol.
fn pieces_of(rules: &[&Services], pieces: fn(ServiceMatch) -> Option<(u32, u32)>) -> Vec<Piece> {
    let of_rule = |(index, services): (usize, &&Services)| {
        services
            .iter()
            .filter_map(move |item| pieces(*item).map(|(first, last)| (first, last, index)))
            .collect::<Vec<_>>()
    };
    rules.iter().enumerate().flat_map(of_rule).collect()
}

/// Total, disjoint, sorted ranges of `0..=last`, each with the class of the rules that cover it.
fn ranges_of(last: u32, pieces: &[Piece], classes: &mut BTreeMap<Vec<usize>, usize>) -> Ranges {
    let mut begins: BTreeMap<u32, Vec<usize>> = BTreeMap::from([(0, Vec::new())]);
    let mut ends: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for &(first, end, rule) in pieces {
        begins.entry(first).or_default().push(rule);
        ends.entry(end + 1).or_default().push(rule);
    }
    let cuts: BTreeSet<u32> = begins.keys().chain(ends.keys()).copied().filter(|cut| *cut <= last).collect();
    let mut active: BTreeMap<usize, usize> = BTreeMap::new();
    let mut ranges: Ranges = Vec::new();
    for &cut in &cuts {
        for rule in ends.get(&cut).into_iter().flatten() {
            leave(&mut active, *rule);
        }
        for rule in begins.get(&cut).into_iter().flatten() {
            *active.entry(*rule).or_default() += 1;
        }
        let fresh = classes.len();
        let class = *classes.entry(active.keys().copied().collect()).or_insert(fresh);
        let end = cuts.range(cut + 1..).next().map_or(last, |next| next - 1);
        ranges.push((cut..=end, class));
    }
    ranges
}

/// One piece fewer holds a rule active.
fn leave(active: &mut BTreeMap<usize, usize>, rule: usize) {
    let count = active.get(&rule).copied().unwrap_or(0);
    if count > 1 {
        active.insert(rule, count - 1);
    } else {
        active.remove(&rule);
    }
}

/// The ports that an item covers under TCP or UDP.
fn ports(item: ServiceMatch, wanted: bool) -> Option<(u32, u32)> {
    match item {
        ServiceMatch::Any => Some((0, 0xffff)),
        ServiceMatch::Ports { tcp, first, last } => {
            (tcp == wanted && first <= last).then(|| (u32::from(first), u32::from(last)))
        }
        ServiceMatch::Icmp(_) | ServiceMatch::Icmpv6(_) | ServiceMatch::Proto(_) => None,
    }
}

/// One number, or all of them.
fn one_or_all(number: Option<u8>) -> (u32, u32) {
    number.map_or((0, 0xff), |number| (u32::from(number), u32::from(number)))
}

/// The ICMP types that an item covers.
fn icmp_types(item: ServiceMatch) -> Option<(u32, u32)> {
    match item {
        ServiceMatch::Any => Some((0, 0xff)),
        ServiceMatch::Icmp(kind) => Some(one_or_all(kind)),
        ServiceMatch::Ports { .. } | ServiceMatch::Icmpv6(_) | ServiceMatch::Proto(_) => None,
    }
}

/// The `ICMPv6` types that an item covers.
fn icmpv6_types(item: ServiceMatch) -> Option<(u32, u32)> {
    match item {
        ServiceMatch::Any => Some((0, 0xff)),
        ServiceMatch::Icmpv6(kind) => Some(one_or_all(kind)),
        ServiceMatch::Ports { .. } | ServiceMatch::Icmp(_) | ServiceMatch::Proto(_) => None,
    }
}

/// The other protocols that an item covers.
fn protocol(item: ServiceMatch) -> Option<(u32, u32)> {
    match item {
        ServiceMatch::Any => Some((0, 0xff)),
        ServiceMatch::Proto(number) => Some(one_or_all(Some(number))),
        ServiceMatch::Ports { .. } | ServiceMatch::Icmp(_) | ServiceMatch::Icmpv6(_) => None,
    }
}

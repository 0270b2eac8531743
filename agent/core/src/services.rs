//! Splits ports, types and protocols at the boundaries of all rules' services.

use std::collections::BTreeMap;
use std::iter;
use std::ops::RangeInclusive;

use policy::{ServiceMatch, Services};

use crate::index::Index;

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
    let mut classes = Classes { known: Index::default(), covered: vec![Vec::new(); rules.len()] };
    let mut ranges = |last: u32, pieces: fn(ServiceMatch) -> Option<(u32, u32)>| {
        let pieces = pieces_of(rules, pieces);
        classes.ranges(last, &pieces)
    };
    let tcp = ranges(0xffff, |item| ports(item, true));
    let udp = ranges(0xffff, |item| ports(item, false));
    let icmp = ranges(0xff, icmp_types);
    let icmpv6 = ranges(0xff, icmpv6_types);
    let protocols = ranges(0xff, protocol);
    Partition { tcp, udp, icmp, icmpv6, protocols, covered: classes.covered, classes: classes.known.len() }
}

/// The service classes, by the rules that cover them.
struct Classes {
    known: Index<Vec<usize>, usize>,
    /// For each rule the classes that it covers, ascending.
    covered: Vec<Vec<usize>>,
}

impl Classes {
    /// The class that just these rules cover.
    fn of(&mut self, rules: Vec<usize>) -> usize {
        self.known.get(&rules).unwrap_or_else(|| {
            let fresh = self.known.len();
            rules.iter().for_each(|rule| self.covered[*rule].push(fresh));
            self.known.insert(rules, fresh);
            fresh
        })
    }

    /// Total, disjoint, sorted ranges of `0..=last`, each with the class of the rules that cover it.
    fn ranges(&mut self, last: u32, pieces: &[Piece]) -> Ranges {
        // Where a piece begins, and where it has ended; the first range begins with none.
        let both = |&(first, end, rule): &Piece| [(first, Some((rule, true))), (end + 1, Some((rule, false)))];
        let mut turns: Vec<_> = iter::once((0, None)).chain(pieces.iter().flat_map(both)).collect();
        turns.sort_unstable_by_key(|(at, _)| *at);
        let mut turns = turns.chunk_by(|(one, _), (other, _)| one == other).peekable();
        let (mut active, mut ranges) = (BTreeMap::new(), Vec::new());
        while let Some(here) = turns.next() {
            let Some(&(cut, _)) = here.first().filter(|(cut, _)| *cut <= last) else { break };
            here.iter().filter_map(|(_, turn)| *turn).for_each(|(rule, begins)| turn(&mut active, rule, begins));
            let next = turns.peek().and_then(|next| next.first());
            let end = next.map_or(last, |(next, _)| last.min(next - 1));
            ranges.push((cut..=end, self.of(active.keys().copied().collect())));
        }
        ranges
    }
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

/// One piece more, or one fewer, holds a rule active.
fn turn(active: &mut BTreeMap<usize, usize>, rule: usize, begins: bool) {
    match (active.get(&rule).copied().unwrap_or(0), begins) {
        (0 | 1, false) => drop(active.remove(&rule)),
        (count, false) => drop(active.insert(rule, count - 1)),
        (count, true) => drop(active.insert(rule, count + 1)),
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

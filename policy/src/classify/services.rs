//! The classes of services: those that exactly the same rules cover, in the same families.
//!
//! All that a flow can ask for stands in one row of slots: TCP's ports, UDP's, the types of ICMP, those of ICMPv6, the other
//! protocols. What a rule covers is ranges of slots, so that their edges cut the row into segments that no rule tells apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

use super::bits::Bits;
use crate::{Family, FlowService, ServiceMatch, Services};

const UDP: usize = 1 << 16;
const ICMP: usize = UDP + (1 << 16);
const ICMPV6: usize = ICMP + 256;
const PROTO: usize = ICMPV6 + 256;
const SLOTS: usize = PROTO + 256;
/// Where the ranges of one protocol begin, and the end of the last.
const PROTOCOLS: [usize; 6] = [0, UDP, ICMP, ICMPV6, PROTO, SLOTS];

/// Services of one protocol, from the first to the last; both are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceRange {
    /// The first.
    pub first: FlowService,
    /// The last.
    pub last: FlowService,
}

impl ServiceRange {
    /// How many services it holds.
    #[must_use]
    pub fn count(self) -> u64 {
        (slot(self.last) - slot(self.first) + 1) as u64
    }

    /// One of them that packets can ask for, if there is one: no port 0.
    #[must_use]
    pub fn sample(self) -> FlowService {
        match self.first {
            FlowService::Tcp(0) | FlowService::Udp(0) if self.first < self.last => service(slot(self.first) + 1),
            FlowService::Tcp(_) | FlowService::Udp(_) | FlowService::Icmp(_) => self.first,
            FlowService::Icmpv6(_) | FlowService::Proto(_) => self.first,
        }
    }

    /// Whether it holds one.
    #[must_use]
    pub fn holds(self, service: FlowService) -> bool {
        (slot(self.first)..=slot(self.last)).contains(&slot(service))
    }
}

impl Serialize for ServiceRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for ServiceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.first {
            FlowService::Tcp(_) => "tcp",
            FlowService::Udp(_) => "udp",
            FlowService::Icmp(_) => "icmp",
            FlowService::Icmpv6(_) => "icmpv6",
            FlowService::Proto(_) => "proto",
        };
        let base = protocol(slot(self.first));
        match (slot(self.first) - base.start, slot(self.last) - base.start) {
            (first, last) if first == last => self.first.fmt(f),
            (0, last) if last + 1 == base.len() => f.pad(word),
            (first, last) => f.pad(&format!("{word}/{first}-{last}")),
        }
    }
}

/// The slot of a service.
pub(crate) fn slot(service: FlowService) -> usize {
    match service {
        FlowService::Tcp(port) => usize::from(port),
        FlowService::Udp(port) => UDP + usize::from(port),
        FlowService::Icmp(kind) => ICMP + usize::from(kind),
        FlowService::Icmpv6(kind) => ICMPV6 + usize::from(kind),
        FlowService::Proto(number) => PROTO + usize::from(number),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each is less than the range of its protocol")]
fn service(slot: usize) -> FlowService {
    match slot {
        0..UDP => FlowService::Tcp(slot as u16),
        UDP..ICMP => FlowService::Udp((slot - UDP) as u16),
        ICMP..ICMPV6 => FlowService::Icmp((slot - ICMP) as u8),
        ICMPV6..PROTO => FlowService::Icmpv6((slot - ICMPV6) as u8),
        other => FlowService::Proto((other - PROTO) as u8),
    }
}

/// The slots of the protocol in which a slot lies.
fn protocol(slot: usize) -> Range<usize> {
    let after = PROTOCOLS.partition_point(|&start| start <= slot).clamp(1, PROTOCOLS.len() - 1);
    PROTOCOLS[after - 1]..PROTOCOLS[after]
}

/// The slots that an item of a rule covers.
fn covered(item: ServiceMatch) -> Range<usize> {
    let kinds = |start: usize, kind: Option<u8>| match kind {
        None => start..start + 256,
        Some(kind) => start + usize::from(kind)..start + usize::from(kind) + 1,
    };
    match item {
        ServiceMatch::Any => 0..SLOTS,
        ServiceMatch::Ports { tcp, first, last } => {
            let start = if tcp { 0 } else { UDP };
            start + usize::from(first)..(start + usize::from(last) + 1).max(start + usize::from(first))
        }
        ServiceMatch::Icmp(kind) => kinds(ICMP, kind),
        ServiceMatch::Icmpv6(kind) => kinds(ICMPV6, kind),
        ServiceMatch::Proto(number) => kinds(PROTO, Some(number)),
    }
}

/// What else tells services apart than the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nature {
    /// Whether it exists in IPv4.
    pub(crate) v4: bool,
    /// Whether it exists in IPv6.
    pub(crate) v6: bool,
    /// Neighbour discovery, MLD and IGMP, which no policy judges.
    pub(crate) neighbours: bool,
}

impl Nature {
    fn of(service: FlowService) -> Self {
        let (exists, neighbours) = match service {
            FlowService::Tcp(_) | FlowService::Udp(_) | FlowService::Icmp(_) => (true, false),
            FlowService::Icmpv6(kind) => (true, matches!(kind, 130..=136 | 143)),
            // These have words of their own.
            FlowService::Proto(number) => (!matches!(number, 1 | 6 | 17 | 58), number == 2),
        };
        let in_family = |family| exists && service.exists_in(family);
        Self { v4: in_family(Family::V4), v6: in_family(Family::V6), neighbours }
    }
}

/// All services, in classes.
#[derive(Clone, Debug)]
pub(crate) struct ServiceClasses {
    by_slot: Vec<u32>,
    classes: Vec<Class>,
}

#[derive(Clone, Debug)]
struct Class {
    nature: Nature,
    /// Which lists of services cover it.
    lists: Bits,
    segments: Vec<Range<usize>>,
}

impl ServiceClasses {
    /// The classes that these lists tell apart.
    pub(crate) fn of(lists: &[&Services]) -> Self {
        let edges: Vec<usize> = edges(lists).into_iter().collect();
        let mut covering = vec![Bits::none(lists.len()); edges.len().saturating_sub(1)];
        for (number, list) in lists.iter().enumerate() {
            for range in list.iter().map(|item| covered(*item)) {
                let place = |edge| edges.partition_point(|&known| known < edge);
                covering[place(range.start)..place(range.end)].iter_mut().for_each(|bits| bits.put(number));
            }
        }
        let mut known: BTreeMap<(Bits, Nature), u32> = BTreeMap::new();
        let (mut by_slot, mut classes) = (Vec::with_capacity(SLOTS), Vec::<Class>::new());
        for (lists, ends) in covering.into_iter().zip(edges.windows(2)) {
            let (segment, nature) = (ends[0]..ends[1], Nature::of(service(ends[0])));
            let class = *known.entry((lists, nature)).or_insert_with_key(|(lists, nature)| {
                classes.push(Class { nature: *nature, lists: lists.clone(), segments: Vec::new() });
                super::narrow(classes.len() - 1)
            });
            by_slot.extend(std::iter::repeat_n(class, segment.len()));
            classes[class as usize].segments.push(segment);
        }
        Self { by_slot, classes }
    }

    #[inline]
    pub(crate) fn class(&self, service: FlowService) -> usize {
        self.by_slot[slot(service)] as usize
    }

    pub(crate) fn count(&self) -> usize {
        self.classes.len()
    }

    #[inline]
    pub(crate) fn nature(&self, class: usize) -> Nature {
        self.classes[class].nature
    }

    /// Which lists cover a class.
    pub(crate) fn lists(&self, class: usize) -> &Bits {
        &self.classes[class].lists
    }

    /// The services of a class.
    pub(crate) fn ranges(&self, class: usize) -> Vec<ServiceRange> {
        self.classes[class].segments.iter().map(range).collect()
    }

    /// How many services several classes hold.
    pub(crate) fn size(&self, classes: &Bits) -> u64 {
        let segments = classes.iter().flat_map(|class| &self.classes[class].segments);
        segments.map(|segment| segment.len() as u64).sum()
    }

    /// The services of several classes in as few ranges as may be: what is between two of them and is no flow that a policy
    /// judges parts nothing.
    pub(crate) fn joined(&self, classes: &Bits) -> Vec<ServiceRange> {
        let mut segments: Vec<&Range<usize>> = classes.iter().flat_map(|class| &self.classes[class].segments).collect();
        segments.sort_unstable_by_key(|segment| segment.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for segment in segments {
            match joined.last_mut() {
                Some(last) if self.idle(last.end..segment.start) => last.end = segment.end,
                _ => joined.push(segment.clone()),
            }
        }
        joined.iter().map(range).collect()
    }

    /// Whether slots between two segments are of one protocol with them, and none of them is a flow that a policy judges.
    fn idle(&self, gap: Range<usize>) -> bool {
        let judged = |slot: usize| {
            let Nature { v4, v6, neighbours } = self.nature(self.by_slot[slot] as usize);
            (v4 || v6) && !neighbours
        };
        !PROTOCOLS.contains(&gap.end) && !PROTOCOLS.contains(&gap.start) && !gap.clone().any(judged)
    }
}

fn range(segment: &Range<usize>) -> ServiceRange {
    ServiceRange { first: service(segment.start), last: service(segment.end - 1) }
}

/// Where what covers a slot, or its nature, may change.
fn edges(lists: &[&Services]) -> BTreeSet<usize> {
    let mut edges = BTreeSet::from(PROTOCOLS);
    for item in lists.iter().flat_map(|list| list.iter()) {
        let range = covered(*item);
        edges.extend([range.start, range.end]);
    }
    let differs = |slot: &usize| Nature::of(service(*slot)) != Nature::of(service(*slot - 1));
    edges.extend((ICMPV6 + 1..SLOTS).filter(differs));
    edges
}

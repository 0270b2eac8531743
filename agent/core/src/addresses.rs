//! Splits the addresses: which sets hold each of them, and which are unknown or link-local.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use policy::AddressGroup;
use wire::{Outside, View};

use crate::ruleset::IpRange;

/// What the rules can know of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// In a managed network, and bound to no VM.
    Unknown,
    /// Link-local.
    LinkLocal,
    /// A member of these sets, and of no other.
    Member(BTreeSet<u32>),
}

/// Link-local addresses and multicast, of which managed networks hold nothing (semantics 1 and 4).
const LINK_LOCAL_V4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16);
const LINK_LOCAL_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
const MULTICAST_V4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4);
const BROADCAST_V4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32);
const MULTICAST_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8);

/// Whether an address is link-local.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => LINK_LOCAL_V4.contains(&v4),
        IpAddr::V6(v6) => LINK_LOCAL_V6.contains(&v6),
    }
}

/// The standing of each peer address, by exact address. `used` holds the sets that a living rule names.
pub(crate) fn peers(view: &View, used: &BTreeSet<u32>) -> BTreeMap<IpAddr, Standing> {
    let mut sets_of = vec![BTreeSet::new(); view.peers.len()];
    for &set in used {
        let Some(members) = view.sets.get(set as usize) else { continue };
        for &vm in &members.vms {
            if let Some(sets) = sets_of.get_mut(vm as usize) {
                sets.insert(set);
            }
        }
    }
    let mut all = BTreeMap::new();
    for (peer, sets) in view.peers.iter().zip(sets_of) {
        for address in &peer.addresses {
            if !is_link_local(*address) && !view.addresses.contains(address) {
                all.entry(*address).or_insert_with(|| Standing::Member(sets.clone()));
            }
        }
    }
    all
}

/// The standing of every address that no peer has: total per family, disjoint, sorted.
pub(crate) fn networks(view: &View, used: &BTreeSet<u32>) -> Vec<(IpRange, Standing)> {
    let mut all = family(view, used, true);
    all.extend(family(view, used, false));
    all
}

/// What a stretch of addresses is marked with while the line is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Managed,
    Multicast,
    LinkLocal,
    Set(u32),
}

/// One family's line of addresses.
fn family(view: &View, used: &BTreeSet<u32>, v4: bool) -> Vec<(IpRange, Standing)> {
    let last = if v4 { u128::from(u32::MAX) } else { u128::MAX };
    let mut line = Line::default();
    for net in view.managed.iter().filter(|net| matches!(net, IpNet::V4(_)) == v4) {
        line.add(span(*net), Mark::Managed);
    }
    if v4 {
        line.add(span(LINK_LOCAL_V4.into()), Mark::LinkLocal);
        line.add(span(MULTICAST_V4.into()), Mark::Multicast);
        line.add(span(BROADCAST_V4.into()), Mark::Multicast);
    } else {
        line.add(span(LINK_LOCAL_V6.into()), Mark::LinkLocal);
        line.add(span(MULTICAST_V6.into()), Mark::Multicast);
    }
    let everywhere = (0, last);
    for &set in used {
        match view.sets.get(set as usize).map(|members| &members.outside) {
            None | Some(Outside::None) => {}
            Some(Outside::All) => line.add(everywhere, Mark::Set(set)),
            Some(Outside::Groups(groups)) => {
                for piece in groups.iter().flat_map(|group| group_spans(group, v4)) {
                    line.add(piece, Mark::Set(set));
                }
            }
        }
    }
    line.swept(last).into_iter().map(|(start, end, standing)| (range(start, end, v4), standing)).collect()
}

/// Stretches of one family's addresses, marked.
#[derive(Default)]
struct Line {
    begins: BTreeMap<u128, Vec<Mark>>,
    ends: BTreeMap<u128, Vec<Mark>>,
}

impl Line {
    fn add(&mut self, (start, end): (u128, u128), mark: Mark) {
        self.begins.entry(start).or_default().push(mark);
        if let Some(after) = end.checked_add(1) {
            self.ends.entry(after).or_default().push(mark);
        }
    }

    /// Walks the line from 0 to `last`; neighbours of the same standing are joined.
    fn swept(self, last: u128) -> Vec<(u128, u128, Standing)> {
        let cuts: BTreeSet<u128> = std::iter::once(0)
            .chain(self.begins.keys().chain(self.ends.keys()).copied())
            .filter(|cut| *cut <= last)
            .collect();
        let mut active: BTreeMap<Mark, usize> = BTreeMap::new();
        let mut out: Vec<(u128, u128, Standing)> = Vec::new();
        for &cut in &cuts {
            for mark in self.ends.get(&cut).into_iter().flatten() {
                leave(&mut active, *mark);
            }
            for mark in self.begins.get(&cut).into_iter().flatten() {
                *active.entry(*mark).or_default() += 1;
            }
            if let Some(before) = out.last_mut() {
                before.1 = cut - 1;
            }
            let standing = standing(&active);
            if out.last().is_none_or(|before| before.2 != standing) {
                out.push((cut, last, standing));
            }
        }
        if let Some(end) = out.last_mut() {
            end.1 = last;
        }
        out
    }
}

/// One stretch fewer holds a mark active.
fn leave(active: &mut BTreeMap<Mark, usize>, mark: Mark) {
    let count = active.get(&mark).copied().unwrap_or(0);
    if count > 1 {
        active.insert(mark, count - 1);
    } else {
        active.remove(&mark);
    }
}

/// What the marks over a stretch make of it.
fn standing(active: &BTreeMap<Mark, usize>) -> Standing {
    if active.contains_key(&Mark::LinkLocal) {
        return Standing::LinkLocal;
    }
    if active.contains_key(&Mark::Managed) && !active.contains_key(&Mark::Multicast) {
        return Standing::Unknown;
    }
    let set = |mark: &Mark| match mark {
        Mark::Set(set) => Some(*set),
        Mark::Managed | Mark::Multicast | Mark::LinkLocal => None,
    };
    Standing::Member(active.keys().filter_map(set).collect())
}

/// The stretches that a group holds: the longest prefix decides, and of two alike the exception.
fn group_spans(group: &AddressGroup, v4: bool) -> Vec<(u128, u128)> {
    let of_family = |net: &&IpNet| matches!(net, IpNet::V4(_)) == v4;
    let mut prefixes: BTreeMap<(u128, u8), (u128, bool)> = BTreeMap::new();
    for (nets, inside) in [(&group.includes, true), (&group.excludes, false)] {
        for net in nets.iter().filter(of_family) {
            let (start, end) = span(*net);
            prefixes.insert((start, net.prefix_len()), (end, inside));
        }
    }
    let mut out = Vec::new();
    let mut open: Vec<(u128, bool)> = Vec::new();
    let mut at = 0;
    for ((start, _), (end, inside)) in prefixes {
        close(&mut open, &mut out, &mut at, Some(start));
        emit(&open, &mut out, at, start);
        at = start;
        open.push((end, inside));
    }
    close(&mut open, &mut out, &mut at, None);
    out
}

/// Closes the prefixes that end before `start` (all of them without one).
fn close(open: &mut Vec<(u128, bool)>, out: &mut Vec<(u128, u128)>, at: &mut u128, start: Option<u128>) {
    while let Some(&(end, inside)) = open.last() {
        if start.is_some_and(|start| end >= start) {
            return;
        }
        if inside && *at <= end {
            out.push((*at, end));
        }
        *at = (*at).max(end.saturating_add(1));
        if end == u128::MAX {
            open.clear();
            return;
        }
        open.pop();
    }
}

/// Emits the stretch from `at` up to a nested prefix's start, if the innermost open prefix is in the group.
fn emit(open: &[(u128, bool)], out: &mut Vec<(u128, u128)>, at: u128, start: u128) {
    if open.last().is_some_and(|(_, inside)| *inside) && at < start {
        out.push((at, start - 1));
    }
}

/// A prefix's first and last address as numbers.
fn span(net: IpNet) -> (u128, u128) {
    (number(net.network()), number(net.broadcast()))
}

/// An address as a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// Numbers as a range of addresses.
fn range(start: u128, end: u128, v4: bool) -> IpRange {
    IpRange { start: address(start, v4), end: address(end, v4) }
}

/// A number as an address.
fn address(number: u128, v4: bool) -> IpAddr {
    if v4 {
        IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)))
    } else {
        IpAddr::V6(Ipv6Addr::from(number))
    }
}

/// The address behind one, if there is one.
pub(crate) fn next(of: IpAddr) -> Option<IpAddr> {
    let next = number(of).checked_add(1)?;
    (!of.is_ipv4() || next <= u128::from(u32::MAX)).then(|| address(next, of.is_ipv4()))
}

/// The address before one, if there is one.
pub(crate) fn previous(of: IpAddr) -> Option<IpAddr> {
    Some(address(number(of).checked_sub(1)?, of.is_ipv4()))
}

//! For whom flows come that reach this machine: itself, or an address that is no VM's (semantics 1 and 4).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wire::{View, ViewRule};

use crate::addresses::{Standing, is_link_local, next, previous};
use crate::decide::Part;
use crate::ruleset::IpRange;

/// What the rules can know of the address that a flow was sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// This machine's own, or no rule tells it from that.
    Own,
    /// In a managed network and not this machine's: whoever has it there, it is not bound to this one.
    Unknown,
    /// Link-local.
    LinkLocal,
    /// No VM's, and in these sets of all that rules name for such addresses.
    Sets(BTreeSet<u32>),
}

impl Target {
    /// This machine's part in flows to it, where rows of its own say what those get.
    pub(crate) fn part(&self) -> Option<Part<'_>> {
        match self {
            Self::Own | Self::LinkLocal => None,
            Self::Unknown => Some(Part::Unknown),
            Self::Sets(sets) => Some(Part::Elsewhere(sets)),
        }
    }
}

/// Every address with what the rules know of it as a destination: total per family, disjoint, sorted.
pub(crate) fn targets(view: &View, rules: &[&ViewRule], networks: &[(IpRange, Standing)]) -> Vec<(IpRange, Target)> {
    let named: BTreeSet<u32> = rules.iter().filter_map(|rule| Some(rule.elsewhere?.to)).collect();
    let known = |address: &&IpAddr| !is_link_local(**address);
    // In a managed network what is not this machine's is unknown without being named.
    let named_apart = |address: &&IpAddr| known(address) && !view.managed.iter().any(|net| net.contains(*address));
    let peers = view.peers.iter().flat_map(|peer| &peer.addresses).filter(named_apart);
    let peers = peers.map(|address| (*address, Target::Unknown));
    let own = view.addresses.iter().filter(known).map(|address| (*address, Target::Own));
    let bound: BTreeMap<IpAddr, Target> = peers.chain(own).collect();
    let mut all = Vec::new();
    let mut alike = BTreeMap::new();
    for (range, standing) in networks {
        let target = match standing {
            Standing::Unknown => Target::Unknown,
            Standing::LinkLocal => Target::LinkLocal,
            Standing::Member(sets) => {
                let sets: BTreeSet<u32> = sets.intersection(&named).copied().collect();
                alike.entry(sets).or_insert_with_key(|sets| place(sets, rules)).clone()
            }
        };
        split(range, &target, &bound, &mut all);
    }
    all
}

/// A place of no VM; this machine's own where the rules that hold for both are the same.
fn place(sets: &BTreeSet<u32>, rules: &[&ViewRule]) -> Target {
    let holds = |rule: &ViewRule| rule.elsewhere.filter(|both| sets.contains(&both.to)).map(|both| both.from);
    let same = rules.iter().all(|rule| holds(rule) == rule.inbound);
    if same { Target::Own } else { Target::Sets(sets.clone()) }
}

/// A range of one target, but for the addresses in it that are bound. Neighbours of one target are joined.
fn split(range: &IpRange, target: &Target, bound: &BTreeMap<IpAddr, Target>, all: &mut Vec<(IpRange, Target)>) {
    let mut start = Some(range.start);
    for (&address, of) in bound.range(range.start..=range.end).filter(|(_, of)| *of != target) {
        if let (Some(from), Some(end)) = (start, previous(address))
            && from <= end
        {
            push_range(all, IpRange { start: from, end }, target.clone());
        }
        push_range(all, IpRange { start: address, end: address }, of.clone());
        start = next(address);
    }
    if let Some(start) = start.filter(|start| *start <= range.end) {
        push_range(all, IpRange { start, end: range.end }, target.clone());
    }
}

/// A range more; joined with the one before if that is of the same family and of the same kind.
pub(crate) fn push_range<T: PartialEq>(all: &mut Vec<(IpRange, T)>, range: IpRange, kind: T) {
    match all.last_mut() {
        Some((before, same)) if *same == kind && before.end.is_ipv4() == range.start.is_ipv4() => {
            before.end = range.end;
        }
        Some(_) | None => all.push((range, kind)),
    }
}

//! A difference holds every flow whose ruling changes, once, and no other: against the oracle, flow by flow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use oracle::{evaluate, is_in, members};
use policy::diff::{Difference, Labelled, Party, Row, diff, diff_all};
use policy::{Family, Flow, FlowService, Inventory, Mode, Name, Policy, Rule, Ruling, Selector};
use proptest::prelude::*;
use random::apart::{groupcast, outsiders, segments};
use random::now;

/// An endpoint as a flow knows it.
#[derive(Clone, Debug, PartialEq)]
enum Who {
    Vm(Name, Vec<IpAddr>),
    Outside(IpAddr),
}

impl Who {
    fn address(&self, family: Family) -> Option<IpAddr> {
        match self {
            Self::Vm(_, addresses) => addresses.iter().copied().find(|address| Family::of(*address) == family),
            Self::Outside(address) => Some(*address).filter(|address| Family::of(*address) == family),
        }
    }
}

/// All endpoints: VMs by the addresses that are theirs and carry flows to others.
fn everyone(inventory: &Inventory, policies: &[&Policy]) -> Vec<Who> {
    let carries = |address: &IpAddr| {
        let link_local = address.to_string().starts_with("fe80") || address.to_string().starts_with("169.254");
        !address.is_loopback() && !groupcast(*address) && !link_local
    };
    let vms = inventory.vms.iter().map(|(name, vm)| {
        let own = vm.addresses.iter().copied().filter(carries);
        Who::Vm(name.clone(), own.filter(|address| inventory.owner(*address).unwrap().0 == name).collect())
    });
    vms.chain(outsiders(inventory, policies).into_iter().map(Who::Outside)).collect()
}

/// Whether a party of a row is this endpoint; of a destination, with labels that compare so to the source's.
fn is(party: &Party, who: &Who, source: Option<&Who>, inventory: &Inventory) -> bool {
    match (party, who) {
        (Party::Vm(name), Who::Vm(own, _)) => name == own,
        (Party::Outside(outside), Who::Outside(address)) => {
            outside.ranges.iter().any(|(first, last)| (*first..=*last).contains(address))
        }
        (Party::Labelled(labelled), Who::Vm(own, _)) => labelled_so(labelled, own, source, inventory),
        _ => false,
    }
}

fn labelled_so(labelled: &Labelled, own: &Name, source: Option<&Who>, inventory: &Inventory) -> bool {
    let value = |vm: &Name, key: &String| inventory.vms[vm].labels.get(key).cloned();
    let equal = |key: &String| match source {
        Some(Who::Vm(source, _)) => value(source, key) == value(own, key),
        _ => false,
    };
    let compared = labelled.same.iter().all(equal) && !labelled.differing.iter().any(equal);
    compared && members(&labelled.selector, inventory).contains(&own)
}

fn holds(row: &Row, source: &Who, destination: &Who, service: FlowService, inventory: &Inventory) -> bool {
    row.sources.iter().any(|party| is(party, source, None, inventory))
        && row.destinations.iter().any(|party| is(party, destination, Some(source), inventory))
        && row.services.iter().any(|range| range.holds(service))
}

/// One pair with one service: in each family that they have in common, the rulings; equal in both.
fn rulings(
    policies: [&Policy; 2],
    inventory: &Inventory,
    (source, destination): (&Who, &Who),
    service: FlowService,
) -> Option<(Ruling, Ruling)> {
    let mut found = None;
    for family in [Family::V4, Family::V6].into_iter().filter(|family| service.exists_in(*family)) {
        let (Some(source), Some(destination)) = (source.address(family), destination.address(family)) else { continue };
        let flow = Flow { source, destination, service };
        let [old, new] = policies.map(|policy| evaluate(policy, inventory, &flow, now()));
        assert!(found.is_none() || found == Some((old.clone(), new.clone())));
        found = Some((old, new));
    }
    found
}

/// Holds all rows against all flows; gives how many change.
fn check(old: &Policy, new: &Policy, inventory: &Inventory, difference: &Difference) -> u64 {
    let (everyone, segments) = (everyone(inventory, &[old, new]), segments(&[old, new]));
    let senders = everyone.iter().filter(|who| !matches!(who, Who::Outside(address) if groupcast(*address)));
    let pairs = senders.flat_map(|source| everyone.iter().map(move |destination| (source, destination)));
    let mut changed = 0;
    for pair in pairs.filter(|(source, destination)| source != destination) {
        for (first, last, count) in &segments {
            let first = changes([old, new], inventory, difference, (pair, *first));
            assert_eq!(first, changes([old, new], inventory, difference, (pair, *last)));
            changed += if first { *count } else { 0 };
        }
    }
    changed
}

/// Whether one flow changes: then one row has it, else none.
fn changes(
    policies: [&Policy; 2],
    inventory: &Inventory,
    difference: &Difference,
    (pair, service): ((&Who, &Who), FlowService),
) -> bool {
    let Some((before, after)) = rulings(policies, inventory, pair, service) else { return false };
    let rows = difference.rows.iter().filter(|row| holds(row, pair.0, pair.1, service, inventory));
    let rows: Vec<&Row> = rows.collect();
    let context = || format!("{pair:?} {service}: {before:?}, {after:?}\n{rows:#?}\n{inventory:#?}\n{policies:#?}");
    assert_eq!(rows.len(), usize::from(before != after), "{}", context());
    assert!(rows.iter().all(|row| row.old == before && row.new == after), "{}", context());
    before != after
}

/// How many flows change, by kinds: of pairs that no selector and no comparison tells apart one counts.
fn by_kinds(old: &Policy, new: &Policy, inventory: &Inventory) -> u64 {
    let rules: Vec<&Rule> = [old, new].into_iter().flat_map(|policy| &policy.rules).collect();
    let selectors: BTreeSet<&Selector> =
        rules.iter().flat_map(|rule| [Some(&rule.from), Some(&rule.to), rule.owns()]).flatten().collect();
    let within: BTreeSet<&String> = rules.iter().filter_map(|rule| rule.within.as_ref()).collect();
    let values = |who: &Who| -> Vec<Option<String>> {
        let labels = match who {
            Who::Vm(name, _) => Some(&inventory.vms[name].labels),
            Who::Outside(_) => None,
        };
        within.iter().map(|key| labels?.get(*key).cloned()).collect()
    };
    let kind = |who: &Who| {
        let address = who.address(Family::V4).or_else(|| who.address(Family::V6)).unwrap();
        let matched: Vec<bool> = selectors.iter().map(|selector| is_in(selector, inventory, address)).collect();
        let outside = Some(address).filter(|_| matches!(who, Who::Outside(_)));
        (outside, matched, values(who))
    };
    // Two of each kind, so that each can speak to one of its own.
    let mut kinds = BTreeMap::<_, Vec<Who>>::new();
    for who in everyone(inventory, &[old, new]) {
        let known = kinds.entry(kind(&who)).or_default();
        known.extend(Some(who).filter(|_| known.len() < 2));
    }
    // What nobody names is one value, but that two of them may be the same or not.
    let named = |value: &Option<String>| value.clone().filter(|value| random::VALUES.contains(&value.as_str()));
    let plain = |(outside, matched, values): &(Option<IpAddr>, Vec<bool>, Vec<Option<String>>)| {
        let values: Vec<_> = values.iter().map(|value| (value.is_some(), named(value))).collect();
        (*outside, matched.clone(), values)
    };
    let equal = |one: &[Option<String>], other: &[Option<String>]| -> Vec<bool> {
        one.iter().zip(other).map(|(one, other)| one == other).collect()
    };
    let mut pairs = BTreeMap::new();
    for (source, senders) in kinds.iter().filter(|(kind, _)| !kind.0.is_some_and(groupcast)) {
        for (destination, receivers) in &kinds {
            let Some(to) = receivers.iter().find(|to| **to != senders[0]) else { continue };
            let likeness = (plain(source), plain(destination), equal(&source.2, &destination.2));
            pairs.entry(likeness).or_insert((&senders[0], to));
        }
    }
    let segments = segments(&[old, new]);
    let changed = pairs.into_values().flat_map(|pair| {
        let changes = move |service| rulings([old, new], inventory, pair, service).is_some_and(|(old, new)| old != new);
        segments.iter().filter(move |(first, ..)| changes(*first)).map(|(.., count)| count)
    });
    changed.sum()
}

/// The example of each row is one of its flows, and changes as the row says.
fn examples(old: &Policy, new: &Policy, difference: &Difference) {
    let inventory = &difference.inventory;
    for row in &difference.rows {
        let flow = row.example.flow();
        let [before, after] = [old, new].map(|policy| evaluate(policy, inventory, &flow, now()));
        assert_eq!((&before, &after), (&row.old, &row.new), "{row:#?}\n{old:#?}\n{new:#?}");
        assert!(before != after && row.services.iter().any(|range| range.holds(flow.service)), "{row:#?}");
        let named = |name: &Option<Name>, address| inventory.owner(address).map(|(owner, _)| owner) == name.as_ref();
        assert!(named(&row.example.from, flow.source) && named(&row.example.to, flow.destination), "{row:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_is_what_changes((old, new) in random::pair(), inventory in random::inventory()) {
        let difference = diff(&old, &new, &inventory, now());
        let changed = check(&old, &new, &inventory, &difference);
        examples(&old, &new, &difference);
        assert_eq!(difference.count(), changed, "{inventory:?}\n{old:#?}\n{new:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_for_all_labels_is_what_changes_in_each_inventory(
        (old, new) in random::pair(),
        mut inventory in random::inventory(),
    ) {
        inventory.managed.clear();
        for vm in inventory.vms.values_mut() {
            (vm.managed, vm.quarantined, vm.mode) = (true, false, Mode::Enforce);
        }
        let difference = diff_all(&old, &new, now()).unwrap();
        check(&old, &new, &inventory, &difference);
        examples(&old, &new, &difference);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_for_all_labels_counts_by_kinds((old, new) in random::pair()) {
        let difference = diff_all(&old, &new, now()).unwrap();
        // Many kinds take long, and tell nothing that few do not.
        prop_assume!(difference.inventory.vms.len() <= 60);
        let changed = by_kinds(&old, &new, &difference.inventory);
        assert_eq!(difference.count(), changed, "{}\n{old:#?}\n{new:#?}", difference.human());
    }
}

//! A difference holds every flow whose ruling changes, once, and no other: against the oracle, flow by flow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod random;

use std::net::IpAddr;

use oracle::{evaluate, members};
use policy::diff::{Difference, Labelled, Party, Row, diff, diff_all};
use policy::{Family, Flow, FlowService, Inventory, Mode, Name, Policy, Ruling};
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

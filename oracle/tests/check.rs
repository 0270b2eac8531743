//! What `check` says of rules is so: a rule that it calls idle can go, and its flows get what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod random;

use std::net::{IpAddr, Ipv4Addr};

use oracle::judge;
use policy::check::{Kind, Warning};
use policy::{Action, Family, Flow, Inventory, Mode, Policy, Rule, Selector, Verdict};
use proptest::prelude::*;
use random::{addresses, edges, now};

/// The verdicts of both ends.
type Ends = [Option<Verdict>; 2];

fn verdicts(policy: &Policy, inventory: &Inventory, flow: &Flow) -> Ends {
    let judged = judge(policy, inventory, flow, now());
    [judged.source, judged.destination].map(|end| end.map(|end| end.verdict))
}

/// Every flow between the pairs that tells something apart.
fn flows(policy: &Policy) -> impl Iterator<Item = Flow> + '_ {
    // Nobody sends from a group's address.
    let sources = addresses()
        .into_iter()
        .filter(|address| !address.is_multicast() && *address != IpAddr::V4(Ipv4Addr::BROADCAST));
    let pairs = sources.flat_map(|source| addresses().into_iter().map(move |to| (source, to)));
    let services = edges(&[policy]);
    let flows = pairs.flat_map(move |(source, destination)| {
        services.clone().into_iter().map(move |service| Flow { source, destination, service })
    });
    flows.filter(|Flow { source, destination, service }| {
        Family::of(*source) == Family::of(*destination) && service.exists_in(Family::of(*source))
    })
}

/// The rule that decides at an end if what is on trial acts.
fn acting(end: &oracle::EndVerdict) -> Option<String> {
    end.would.as_ref().map_or(Some(end.rule.clone()), |would| would.rule.clone())
}

fn check(policy: &Policy, inventory: &Inventory, warning: &Warning) {
    let context = || format!("{warning}\n{inventory:?}\n{policy:#?}");
    let place = policy.rules.iter().position(|rule| rule.full_name() == warning.about.name).unwrap();
    let mut without = policy.clone();
    drop(without.rules.remove(place));
    for flow in flows(policy) {
        let judged = judge(policy, inventory, &flow, now());
        let decides = |end: &Option<oracle::EndVerdict>| end.as_ref().is_some_and(|end| end.rule == warning.about.name);
        match warning.kind {
            Kind::Shadowed | Kind::NeverMatching | Kind::Unenforced | Kind::Expired => {
                assert!(!decides(&judged.source) && !decides(&judged.destination), "{flow:?}: {}", context());
            }
            Kind::Redundant => {
                let (before, after) = (verdicts(policy, inventory, &flow), verdicts(&without, inventory, &flow));
                assert_eq!(before, after, "{flow:?}: {}", context());
            }
            // What is on trial is taken as acting.
            Kind::Undone => {
                let live = |end: &Option<oracle::EndVerdict>| {
                    end.as_ref().and_then(acting).is_some_and(|rule| rule == warning.about.name)
                };
                let ruling = &judged.ruling;
                let verdict = ruling.would.as_ref().map_or(ruling.verdict, |would| would.verdict);
                let decides = live(&judged.source) || live(&judged.destination);
                assert!(!decides || verdict != Verdict::Allow, "{flow:?}: {}", context());
            }
            Kind::Contradictory | Kind::Disagreeing | Kind::NotByAddress | Kind::Unused => {}
            Kind::Failed | Kind::OnTrial | Kind::TestsNothing => {}
        }
    }
}

fn check_all(policy: &Policy, inventory: &Inventory, warnings: &[Warning]) {
    let names: Vec<String> = policy.rules.iter().map(Rule::full_name).collect();
    let about = warnings.iter().filter(|warning| names.contains(&warning.about.name));
    about.for_each(|warning| check(policy, inventory, warning));
}

/// A rule that decides nothing is called idle, but for a default in the form of a rule.
fn told(policy: &Policy, inventory: &Inventory, warnings: &[Warning]) {
    let records = policy.mode == Mode::Monitor || policy.rules.iter().any(|rule| rule.mode == Mode::Monitor);
    let silent = |rule: &&Rule| {
        let name = rule.full_name();
        let decides = |flow: Flow| {
            let judged = judge(policy, inventory, &flow, now());
            [judged.source, judged.destination].into_iter().flatten().any(|end| end.rule == name)
        };
        !records && rule.action == Action::Deny && rule.from != Selector::Any && !flows(policy).any(decides)
    };
    for name in policy.rules.iter().filter(silent).map(Rule::full_name) {
        let idle = [Kind::Shadowed, Kind::NeverMatching, Kind::Unenforced, Kind::Expired];
        let told = warnings.iter().any(|warning| warning.about.name == name && idle.contains(&warning.kind));
        assert!(told, "{name} is idle, and nobody says so: {inventory:?}\n{policy:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_rules_is_so(policy in random::policy(), inventory in random::inventory()) {
        // Nobody is quarantined or on trial, for that is no part of the policy.
        let mut inventory = inventory;
        inventory.vms.values_mut().for_each(|vm| (vm.quarantined, vm.mode) = (false, Mode::Enforce));
        let checked = policy::check(&policy, Some(&inventory), now());
        check_all(&policy, &inventory, &checked.warnings);
        told(&policy, &inventory, &checked.warnings);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_all_labels_is_so_in_each_inventory(policy in random::policy(), inventory in random::inventory()) {
        let mut inventory = inventory;
        inventory.vms.values_mut().for_each(|vm| (vm.managed, vm.quarantined, vm.mode) = (true, false, Mode::Enforce));
        check_all(&policy, &inventory, &policy::check(&policy, None, now()).warnings);
    }
}

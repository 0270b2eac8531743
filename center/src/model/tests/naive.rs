//! The views of random policies and inventories, against an evaluator that asks of each pair anew.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use policy::{Action, AddressGroup, At, Key, Mode, Outage, Policy, Rule, Selector, ServiceMatch, Verdict};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use wire::{InventoryFile, InventoryVm, Outside, View, ViewRule};

use crate::model::resolve::Labels;
use crate::model::{Model, Standing};

/// Somebody who may stand at an end.
#[derive(Clone, Copy, Debug)]
enum Who<'a> {
    Vm(&'a Labels),
    Out(IpAddr),
}

fn matches(selector: &Selector, who: Who<'_>) -> bool {
    let label = |key: &Key| match who {
        Who::Vm(labels) => labels.get(key),
        Who::Out(_) => None,
    };
    let vm = matches!(who, Who::Vm(_));
    match selector {
        Selector::Any => true,
        Selector::Vms => vm,
        Selector::Outside => !vm,
        Selector::Addresses(group) => matches!(who, Who::Out(address) if lies_in(group, address)),
        Selector::Has(key) => label(key).is_some(),
        Selector::Equals(key, value) => label(key) == Some(value),
        Selector::Differs(key, value) => vm && label(key) != Some(value),
        Selector::In(key, values) => values.iter().any(|value| label(key) == Some(value)),
        Selector::Not(inner) => vm && !matches(inner, who),
        Selector::And(parts) => parts.iter().all(|part| matches(part, who)),
        Selector::Or(parts) => parts.iter().any(|part| matches(part, who)),
    }
}

fn lies_in(group: &AddressGroup, address: IpAddr) -> bool {
    let longest = |prefixes: &[ipnet::IpNet]| {
        let holding = prefixes.iter().filter(|prefix| prefix.contains(&address));
        holding.map(|prefix| i32::from(prefix.prefix_len())).max().unwrap_or(-1)
    };
    longest(&group.includes) > longest(&group.excludes)
}

fn together(within: Option<&Key>, own: &Labels, who: Who<'_>) -> bool {
    match (within, who) {
        (None, _) => true,
        (Some(key), Who::Vm(labels)) => own.contains_key(key) && own.get(key) == labels.get(key),
        (Some(_), Who::Out(_)) => false,
    }
}

/// Whether a rule covers flows to `own` (or else of it) with somebody at the other end.
fn covers(rule: &Rule, inbound: bool, own: &Labels, who: Who<'_>) -> bool {
    let (here, there, not_at) =
        if inbound { (&rule.to, &rule.from, At::Source) } else { (&rule.from, &rule.to, At::Destination) };
    let ends = matches(here, Who::Vm(own)) && matches(there, who);
    rule.at != not_at && ends && together(rule.within.as_ref(), own, who)
}

/// Whether a rule covers flows of somebody to an address of no VM, where one receives them.
fn covers_elsewhere(rule: &Rule, who: Who<'_>, to: IpAddr) -> bool {
    let within = rule.within.is_some();
    rule.at != At::Source && matches(&rule.from, who) && matches(&rule.to, Who::Out(to)) && !within
}

/// What the view says of the same.
fn says(view: &View, name: &str, inbound: bool, who: Result<&str, IpAddr>) -> bool {
    let rule = view.rules.iter().find(|rule| rule.name == name);
    holds(view, rule.and_then(|rule| if inbound { rule.inbound } else { rule.outbound }), who)
}

fn says_elsewhere(view: &View, name: &str, who: Result<&str, IpAddr>, to: IpAddr) -> bool {
    let both = view.rules.iter().find(|rule| rule.name == name).and_then(|rule| rule.elsewhere);
    both.is_some_and(|both| holds(view, Some(both.from), who) && holds(view, Some(both.to), Err(to)))
}

/// Whether a set of the view has somebody.
fn holds(view: &View, index: Option<u32>, who: Result<&str, IpAddr>) -> bool {
    let Some(set) = index.map(|index| &view.sets[usize::try_from(index).unwrap()]) else { return false };
    match (who, &set.outside) {
        (Ok(vm), _) => set.vms.iter().any(|index| view.peers[usize::try_from(*index).unwrap()].vm == vm),
        (Err(_), Outside::None) => false,
        (Err(_), Outside::All) => true,
        (Err(address), Outside::Groups(groups)) => groups.iter().any(|group| lies_in(group, address)),
    }
}

fn word() -> impl Strategy<Value = String> {
    select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])
}

fn labelled() -> impl Strategy<Value = Selector> {
    let leaf = prop_oneof![
        Just(Selector::Any),
        Just(Selector::Vms),
        Just(Selector::Outside),
        word().prop_map(Selector::Has),
        (word(), word()).prop_map(|(key, value)| Selector::Equals(key, value)),
        (word(), word()).prop_map(|(key, value)| Selector::Differs(key, value)),
        (word(), vec(word(), 1..3)).prop_map(|(key, values)| Selector::In(key, values)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Selector::Not(Box::new(inner))),
            vec(inner.clone(), 2..4).prop_map(Selector::And),
            vec(inner, 2..4).prop_map(Selector::Or),
        ]
    })
}

fn group(name: &str, includes: &[&str], excludes: &[&str]) -> Selector {
    let prefixes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let name = name.parse().unwrap();
    Selector::Addresses(AddressGroup { name, includes: prefixes(includes), excludes: prefixes(excludes) }.into())
}

/// Address groups stand alone or in a union, as the text form has it.
fn selector() -> impl Strategy<Value = Selector> {
    let office = group("office", &["10.9.0.0/16"], &["10.9.3.0/24"]);
    let lab = group("lab", &["10.9.3.0/25", "2001:db8::/32"], &[]);
    let many = group("many", &["224.0.0.0/24", "ff02::/16"], &["224.0.0.8/29"]);
    let part = prop_oneof![4 => labelled(), 1 => select(vec![office, lab, many])];
    prop_oneof![3 => part.clone(), 1 => vec(part, 2..4).prop_map(Selector::Or)]
}

fn rule() -> impl Strategy<Value = Rule> {
    let at = select(vec![At::Both, At::Source, At::Destination]);
    (selector(), selector(), of(word()), at).prop_map(|(from, to, within, at)| Rule {
        tier: None,
        name: "r".parse().unwrap(),
        action: Action::Allow,
        services: vec![ServiceMatch::Any],
        from,
        to,
        within,
        at,
        log: false,
        mode: Mode::Enforce,
        until: None,
        note: None,
        line: 1,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    vec(rule(), 1..6).prop_map(|mut rules| {
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("r{index}").parse().unwrap();
        }
        Policy {
            services: [].into(),
            groups: [].into(),
            rules,
            detect: Vec::new(),
            tiers: Vec::new(),
            default: Verdict::Deny,
            outage: Outage::KeepLast,
            mode: Mode::Enforce,
            tests: Vec::new(),
        }
    })
}

fn inventory() -> impl Strategy<Value = InventoryFile> {
    let vm = (btree_map(word(), word(), 0..3), any::<bool>()).prop_map(|(labels, managed)| InventoryVm {
        labels,
        addresses: Vec::new(),
        allowed: Vec::new(),
        managed,
        dhcp: false,
        mode: Mode::Enforce,
    });
    let name = (0..20_u8).prop_map(|number| format!("vm{number}").parse().unwrap());
    btree_map(name, vm, 1..7).prop_map(|vms| InventoryFile { managed: Vec::new(), vms, record_all: false })
}

fn check(rule: &Rule, inbound: bool, file: &InventoryFile, view: &View) -> Result<(), TestCaseError> {
    let (own, name) = (&file.vms[view.vm.as_str()].labels, rule.name.as_str());
    for (peer, vm) in file.vms.iter().filter(|(peer, _)| peer.as_str() != view.vm) {
        let expected = covers(rule, inbound, own, Who::Vm(&vm.labels));
        prop_assert_eq!(says(view, name, inbound, Ok(peer.as_str())), expected, "{} {:?}", peer, rule);
    }
    let outside = ["10.9.0.1", "10.9.3.1", "10.9.3.200", "192.0.2.1", "2001:db8::1", "2001:db9::1"];
    for address in outside.map(|address| address.parse().unwrap()) {
        let expected = covers(rule, inbound, own, Who::Out(address));
        prop_assert_eq!(says(view, name, inbound, Err(address)), expected, "{} {:?}", address, rule);
    }
    Ok(())
}

/// What reaches the VM for addresses that are no VM's.
fn check_elsewhere(rule: &Rule, file: &InventoryFile, view: &View) -> Result<(), TestCaseError> {
    let name = rule.name.as_str();
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
    for to in addresses(&["224.0.0.5", "224.0.0.9", "239.0.0.1", "255.255.255.255", "ff02::fb", "ff05::1"]) {
        for (peer, vm) in file.vms.iter().filter(|(peer, _)| peer.as_str() != view.vm) {
            let expected = covers_elsewhere(rule, Who::Vm(&vm.labels), to);
            prop_assert_eq!(says_elsewhere(view, name, Ok(peer.as_str()), to), expected, "{} {} {:?}", peer, to, rule);
        }
        for from in addresses(&["10.9.0.1", "10.9.3.1", "2001:db8::1"]) {
            let expected = covers_elsewhere(rule, Who::Out(from), to);
            prop_assert_eq!(says_elsewhere(view, name, Err(from), to), expected, "{} {} {:?}", from, to, rule);
        }
    }
    Ok(())
}

/// Of each rule, in both directions.
fn check_all(policy: &Policy, file: &InventoryFile, view: &View) -> Result<(), TestCaseError> {
    policy.rules.iter().try_for_each(|rule| check_elsewhere(rule, file, view))?;
    let both = policy.rules.iter().flat_map(|rule| [(rule, true), (rule, false)]);
    both.into_iter().try_for_each(|(rule, inbound)| check(rule, inbound, file, view))
}

/// No set is empty, doubled or unused, and no rule stands idle or out of order.
fn tidy(policy: &Policy, view: &View) -> Result<(), TestCaseError> {
    let used = view.rules.iter().flat_map(|rule| {
        let elsewhere = rule.elsewhere.map(|both| [both.from, both.to]);
        [rule.inbound, rule.outbound].into_iter().flatten().chain(elsewhere.into_iter().flatten())
    });
    let used: BTreeSet<u32> = used.collect();
    prop_assert_eq!(used.len(), view.sets.len());
    for (index, set) in view.sets.iter().enumerate() {
        prop_assert!(!set.vms.is_empty() || set.outside != Outside::None);
        prop_assert!(set.vms.is_sorted() && !view.sets[..index].contains(set));
    }
    let idle = |rule: &ViewRule| rule.inbound.or(rule.outbound).is_none() && rule.elsewhere.is_none();
    prop_assert!(!view.rules.iter().any(idle));
    let names: Vec<&str> = view.rules.iter().map(|rule| rule.name.as_str()).collect();
    let kept = policy.rules.iter().map(|rule| rule.name.as_str()).filter(|name| names.contains(name));
    prop_assert_eq!(kept.collect::<Vec<_>>(), names);
    Ok(())
}

proptest! {
    #[test]
    fn a_view_covers_whom_its_policy_covers(policy in policy(), file in inventory()) {
        let model = Model::restore(1, Some(Arc::new(policy.clone())), file.clone(), Standing::default(), &[]);
        let snapshot = model.snapshot();
        for (name, vm) in &file.vms {
            let view = snapshot.view_for(name.as_str(), None, 0);
            prop_assert_eq!(view.is_some(), vm.managed);
            if let Some(view) = view {
                check_all(&policy, &file, &view)?;
                tidy(&policy, &view)?;
            }
        }
    }
}

//! Takes a case that fails apart, as long as what is left still fails.

use policy::{At, Mode, Policy, Rule, Selector};

use super::case::{Case, Change};

/// The smallest case that still fails, and how many were tried; `fails` is asked at most so often.
pub fn shrink(case: Case, most: usize, fails: &mut dyn FnMut(&Case) -> bool) -> (Case, usize) {
    let (mut smallest, mut tried) = (case, 0);
    'again: loop {
        for smaller in smaller(&smallest) {
            if tried >= most {
                break 'again;
            }
            tried += 1;
            if fails(&smaller) {
                smallest = smaller;
                continue 'again;
            }
        }
        break;
    }
    (smallest, tried)
}

/// Cases with something less, those with much less first.
fn smaller(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    // The history's first half, its second half, and without each of its changes.
    let half = case.changes.len() / 2;
    if half > 0 {
        all.push(Case { changes: case.changes[..half].to_vec(), ..case.clone() });
        all.push(Case { changes: case.changes[half..].to_vec(), ..case.clone() });
    }
    all.extend((0..case.changes.len()).map(|place| without_change(case, place)));
    all.extend(first_is_later(case));
    all.extend((0..case.vms.len()).filter_map(|place| without_vm(case, place)));
    if case.outside && case.endpoints().len() > 2 {
        all.push(Case { outside: false, ..case.clone() });
    }
    all.extend(policies(&case.policy).into_iter().map(|policy| Case { policy, ..case.clone() }));
    for (place, change) in case.changes.iter().enumerate() {
        let Change::Publish(policy) = change else { continue };
        all.extend(policies(policy).into_iter().map(|policy| {
            let mut changes = case.changes.clone();
            changes[place] = Change::Publish(policy);
            Case { changes, ..case.clone() }
        }));
    }
    all.extend(plainer_vms(case));
    all
}

fn without_change(case: &Case, place: usize) -> Case {
    let mut changes = case.changes.clone();
    changes.remove(place);
    Case { changes, ..case.clone() }
}

/// What is published first in the history stands from the beginning.
fn first_is_later(case: &Case) -> Option<Case> {
    let [Change::Publish(policy), rest @ ..] = case.changes.as_slice() else { return None };
    Some(Case { policy: policy.clone(), changes: rest.to_vec(), ..case.clone() })
}

fn without_vm(case: &Case, place: usize) -> Option<Case> {
    if case.endpoints().len() <= 2 {
        return None;
    }
    let mut smaller = case.clone();
    let gone = smaller.vms.remove(place).name;
    smaller.changes.retain(|change| !change.names(&gone));
    (!smaller.vms.is_empty()).then_some(smaller)
}

fn plainer_vms(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for (place, vm) in case.vms.iter().enumerate() {
        for label in 0..vm.labels.len() {
            let mut plainer = case.clone();
            plainer.vms[place].labels.remove(label);
            all.push(plainer);
        }
    }
    all
}

/// Policies with something less.
fn policies(policy: &Policy) -> Vec<Policy> {
    let with = |rules: Vec<Rule>| Policy { rules, ..policy.clone() };
    let rules = &policy.rules;
    let mut all = Vec::new();
    let half = rules.len() / 2;
    if half > 0 {
        all.push(with(rules[..half].to_vec()));
        all.push(with(rules[half..].to_vec()));
    }
    for place in 0..rules.len() {
        let mut fewer = rules.clone();
        fewer.remove(place);
        all.push(with(fewer));
    }
    for (place, rule) in rules.iter().enumerate() {
        all.extend(plainer(rule).into_iter().map(|plainer| {
            let mut changed = rules.clone();
            changed[place] = plainer;
            with(changed)
        }));
    }
    if policy.mode == Mode::Monitor {
        all.push(Policy { mode: Mode::Enforce, ..policy.clone() });
    }
    all
}

/// A rule with something less.
fn plainer(rule: &Rule) -> Vec<Rule> {
    let mut all = Vec::new();
    for from in parts(&rule.from) {
        all.push(Rule { from, ..rule.clone() });
    }
    for to in parts(&rule.to) {
        all.push(Rule { to, ..rule.clone() });
    }
    if rule.services.len() > 1 {
        all.extend((0..rule.services.len()).map(|place| Rule { services: vec![rule.services[place]], ..rule.clone() }));
    }
    if rule.within.is_some() {
        all.push(Rule { within: None, ..rule.clone() });
    }
    if rule.at != At::Both {
        all.push(Rule { at: At::Both, ..rule.clone() });
    }
    if rule.mode == Mode::Monitor {
        all.push(Rule { mode: Mode::Enforce, ..rule.clone() });
    }
    all
}

/// What may stand in a selector's place: anybody, or a part of it.
fn parts(selector: &Selector) -> Vec<Selector> {
    let any = (*selector != Selector::Any).then_some(Selector::Any);
    let inner = match selector {
        Selector::Not(inner) => vec![(**inner).clone()],
        Selector::And(parts) | Selector::Or(parts) => parts.clone(),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) | Selector::Has(_) => Vec::new(),
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => Vec::new(),
    };
    any.into_iter().chain(inner).collect()
}

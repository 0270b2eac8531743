//! Small changes of a policy, each of which a good suite of expectations should notice.

mod ends;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Action, At, Key, Mode, Policy, Rule, Verdict};

/// A policy with one small change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The rule that was changed, by its full name; `None`: the default.
    pub rule: Option<String>,
    /// The file of its tier, where there are several.
    pub file: Option<String>,
    /// The line of that rule.
    pub line: Option<usize>,
    /// The change, in words.
    pub change: String,
    /// What came of it.
    pub policy: Policy,
}

/// The values of labels that are known, by their keys: one of them may stand where another should.
pub type Values = BTreeMap<Key, BTreeSet<String>>;

/// Every small change of a policy, in the order of its rules; no two give the same policy.
#[must_use]
pub fn mutants(policy: &Policy, values: &Values) -> Vec<Mutant> {
    let mut all = Vec::new();
    for (place, rule) in policy.rules.iter().enumerate() {
        let one = |(change, changed): (String, Option<Rule>)| {
            let mut policy = policy.clone();
            match changed {
                Some(rule) => policy.rules[place] = rule,
                None => drop(policy.rules.remove(place)),
            }
            Mutant { rule: Some(rule.full_name()), file: file(rule), line: Some(rule.line), change, policy }
        };
        all.extend(changes(rule, values).into_iter().map(one));
        all.extend(swapped(policy, place));
    }
    let defaults = [Verdict::Allow, Verdict::Deny].into_iter().filter(|verdict| *verdict != policy.default);
    all.extend(defaults.map(|default| {
        let policy = Policy { default, ..policy.clone() };
        let file = policy.tiers.last().filter(|tier| tier.name.is_some()).map(|tier| tier.file.clone());
        Mutant { rule: None, file, line: None, change: format!("the default is {default}"), policy }
    }));
    let mut distinct: Vec<Mutant> = Vec::new();
    for mutant in all {
        let is_new = mutant.policy != *policy && !distinct.iter().any(|known| known.policy == mutant.policy);
        distinct.extend(is_new.then_some(mutant));
    }
    distinct
}

fn file(rule: &Rule) -> Option<String> {
    rule.tier.as_ref().filter(|tier| tier.name.is_some()).map(|tier| tier.file.clone())
}

/// What may be changed in one rule; without a rule, it is gone.
fn changes(rule: &Rule, values: &Values) -> Vec<(String, Option<Rule>)> {
    let mut all = vec![("the rule is gone".to_owned(), None)];
    let mut add = |change: String, rule: Rule| all.push((change, Some(rule)));
    for action in turned(rule.action) {
        add(format!("{} is {action}", rule.action), Rule { action, ..rule.clone() });
    }
    for (change, services) in services::changes(&rule.services) {
        add(change, Rule { services, ..rule.clone() });
    }
    for (change, from) in ends::changes(&rule.from, values) {
        add(format!("`from`: {change}"), Rule { from, ..rule.clone() });
    }
    for (change, to) in ends::changes(&rule.to, values) {
        add(format!("`to`: {change}"), Rule { to, ..rule.clone() });
    }
    add("the ends are swapped".to_owned(), Rule { from: rule.to.clone(), to: rule.from.clone(), ..rule.clone() });
    if rule.within.is_some() {
        add("`within` is gone".to_owned(), Rule { within: None, ..rule.clone() });
    }
    for at in [At::Both, At::Source, At::Destination].into_iter().filter(|at| *at != rule.at) {
        add(format!("it holds at {}", place(at)), Rule { at, ..rule.clone() });
    }
    let (mode, change) = match rule.mode {
        Mode::Enforce => (Mode::Monitor, "it only records"),
        Mode::Monitor => (Mode::Enforce, "it acts"),
    };
    add(change.to_owned(), Rule { mode, ..rule.clone() });
    all
}

/// The actions that may stand in its place. That a deny answers is no hole, and is left out.
fn turned(action: Action) -> Vec<Action> {
    match action {
        Action::Allow | Action::Pass => vec![Action::Deny],
        Action::Deny => vec![Action::Allow],
        Action::Reject => vec![Action::Allow, Action::Deny],
    }
}

fn place(at: At) -> &'static str {
    match at {
        At::Both => "both ends",
        At::Source => "the source alone",
        At::Destination => "the destination alone",
    }
}

/// A rule and its neighbour in the same tier, in the other order.
fn swapped(policy: &Policy, place: usize) -> Option<Mutant> {
    let (rule, next) = (policy.rules.get(place)?, policy.rules.get(place + 1)?);
    if rule.place() != next.place() {
        return None;
    }
    let mut swapped = policy.clone();
    swapped.rules.swap(place, place + 1);
    let change = format!("`{}` stands before it", next.full_name());
    Some(Mutant { rule: Some(rule.full_name()), file: file(rule), line: Some(rule.line), change, policy: swapped })
}

//! What the rules of one or more policies speak of, each thing once.

use std::collections::BTreeMap;

use crate::{AddressGroup, Policy, Rule, Selector, Services};

/// The selectors, lists of services and `within` keys of some policies, by numbers in the order in which they are met.
#[derive(Default)]
pub(crate) struct Terms<'p> {
    selectors: BTreeMap<&'p Selector, usize>,
    services: BTreeMap<&'p Services, usize>,
    within: BTreeMap<&'p str, usize>,
}

/// What one rule speaks of, by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) owns: Option<usize>,
    pub(crate) services: usize,
    pub(crate) within: Option<usize>,
}

fn numbered<K: Ord>(known: &mut BTreeMap<K, usize>, key: K) -> usize {
    let next = known.len();
    *known.entry(key).or_insert(next)
}

fn ordered<K: Copy>(known: &BTreeMap<K, usize>) -> Vec<K> {
    let mut all: Vec<(usize, K)> = known.iter().map(|(key, number)| (*number, *key)).collect();
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, key)| key).collect()
}

impl<'p> Terms<'p> {
    /// What each rule of a policy speaks of.
    pub(crate) fn read(&mut self, policy: &'p Policy) -> Vec<Reference> {
        policy.rules.iter().map(|rule| self.rule(rule)).collect()
    }

    fn rule(&mut self, rule: &'p Rule) -> Reference {
        Reference {
            from: numbered(&mut self.selectors, &rule.from),
            to: numbered(&mut self.selectors, &rule.to),
            owns: rule.owns().map(|owned| numbered(&mut self.selectors, owned)),
            services: numbered(&mut self.services, &rule.services),
            within: rule.within.as_deref().map(|key| numbered(&mut self.within, key)),
        }
    }

    pub(crate) fn selectors(&self) -> Vec<&'p Selector> {
        ordered(&self.selectors)
    }

    pub(crate) fn services(&self) -> Vec<&'p Services> {
        ordered(&self.services)
    }

    pub(crate) fn within(&self) -> Vec<&'p str> {
        ordered(&self.within)
    }

    /// The groups of addresses that the selectors hold, by numbers.
    pub(crate) fn groups(&self) -> BTreeMap<&'p AddressGroup, usize> {
        let mut groups = BTreeMap::new();
        self.selectors.keys().for_each(|selector| gather(selector, &mut groups));
        groups.values_mut().enumerate().for_each(|(place, number)| *number = place);
        groups
    }
}

fn gather<'p>(selector: &'p Selector, groups: &mut BTreeMap<&'p AddressGroup, usize>) {
    match selector {
        Selector::Addresses(group) => drop(groups.insert(group, 0)),
        Selector::Not(inner) => gather(inner, groups),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().for_each(|part| gather(part, groups)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Has(_) => {}
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => {}
    }
}

//! From selectors to sets of endpoints (semantics 2).

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{AddressGroup, Key, Policy, Selector};
use wire::Outside;

/// The labels of one VM.
pub(crate) type Labels = BTreeMap<Key, String>;

/// What a selector denotes: of each VM whether it is in, and a part of the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// By the VM's index.
    pub(crate) vms: Vec<bool>,
    /// The part of the outside.
    pub(crate) outside: Outside,
}

/// Evaluates a selector over all VMs.
pub(crate) fn endpoints(selector: &Selector, vms: &[Labels]) -> Endpoints {
    Endpoints { vms: vms.iter().map(|labels| selector.matches(labels)).collect(), outside: outside(selector) }
}

/// The part of the outside that is in; a label expression, negated or not, matches none of it.
fn outside(selector: &Selector) -> Outside {
    match selector {
        Selector::Any | Selector::Outside => Outside::All,
        Selector::Addresses(group) => Outside::Groups(vec![group.clone()]),
        Selector::Vms
        | Selector::Has(_)
        | Selector::Equals(..)
        | Selector::Differs(..)
        | Selector::In(..)
        | Selector::Not(_) => Outside::None,
        Selector::And(parts) => {
            let all = parts.iter().all(|part| outside(part) == Outside::All);
            if all { Outside::All } else { Outside::None }
        }
        Selector::Or(parts) => parts.iter().map(outside).fold(Outside::None, union),
    }
}

/// How many prefixes a policy asks an agent to know, and at most: a group counts once for each selector that it stands in.
pub(crate) fn prefixes(policy: &Policy) -> usize {
    let ends = policy.rules.iter().flat_map(|rule| [&rule.from, &rule.to]);
    let distinct: BTreeMap<String, usize> = ends.map(|end| (end.to_string(), held(&outside(end)))).collect();
    distinct.values().sum()
}

fn held(outside: &Outside) -> usize {
    match outside {
        Outside::None | Outside::All => 0,
        Outside::Groups(groups) => groups.iter().map(|group| group.includes.len() + group.excludes.len()).sum(),
    }
}

fn union(left: Outside, right: Outside) -> Outside {
    match (left, right) {
        (Outside::All, _) | (_, Outside::All) => Outside::All,
        (Outside::None, other) | (other, Outside::None) => other,
        (Outside::Groups(left), Outside::Groups(right)) => Outside::Groups(merged(left, right)),
    }
}

fn merged(mut left: Vec<Arc<AddressGroup>>, right: Vec<Arc<AddressGroup>>) -> Vec<Arc<AddressGroup>> {
    for group in right {
        if !left.contains(&group) {
            left.push(group);
        }
    }
    left
}

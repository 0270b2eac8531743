//! What is right by the grammar and yet hardly meant.

use std::fmt;
use std::net::IpAddr;

use crate::{
    Action, AddressGroup, At, Detector, End, Inventory, IpNet, Name, Policy, Rule, Selector, ServiceMatch, Verdict, Vm,
};

/// Something in a policy that is hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The rule or detector that it is about; of a group the first rule that uses it.
    pub rule: Option<Name>,
    /// The line on which that begins.
    pub line: Option<usize>,
    /// What it is.
    pub doubt: Doubt,
}

/// What is hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// `from` (source) or `to` (destination) matches no VM of the inventory and no outside address.
    MatchesNothing(End),
    /// No VM of the inventory carries the key of `within`.
    NobodyCarries(String),
    /// An allow that exists at one end alone, while nothing allows it at the other: that end's default undoes it.
    UndoneAt(End),
    /// A deny or reject at ends where no agent stands.
    EnforcedNowhere,
    /// The address of a VM lies in a group of addresses: a VM matches by its labels and never by such a group.
    NotByAddress {
        /// The group.
        group: Name,
        /// The VM.
        vm: Name,
        /// The address.
        address: IpAddr,
    },
}

/// Doubts about a policy, in the order of its rules, then of its detectors; with an inventory also those that need to know the VMs.
#[must_use]
pub fn check(policy: &Policy, inventory: Option<&Inventory>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for rule in &policy.rules {
        let doubts = [nothing(rule, inventory), undone(policy, rule, inventory), unenforced(rule, inventory)];
        warnings.extend(doubts.into_iter().flatten().map(|doubt| about(Some(rule), doubt)));
    }
    for Detector { name, from, to, line, .. } in &policy.detect {
        let doubt = inventory.and_then(|inventory| nobody(from, to, inventory));
        warnings.extend(doubt.map(|doubt| Warning { rule: Some(name.clone()), line: Some(*line), doubt }));
    }
    for (name, group) in policy.groups.iter().filter_map(|(name, group)| Some((name, addresses(group)?))) {
        let user = policy.rules.iter().find(|rule| uses(&rule.from, name) || uses(&rule.to, name));
        warnings.extend(seated(group, inventory).map(|doubt| about(user, doubt)));
    }
    warnings
}

fn about(rule: Option<&Rule>, doubt: Doubt) -> Warning {
    Warning { rule: rule.map(|rule| rule.name.clone()), line: rule.map(|rule| rule.line), doubt }
}

fn addresses(group: &Selector) -> Option<&AddressGroup> {
    match group {
        Selector::Addresses(group) => Some(group),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Has(_) => None,
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => None,
        Selector::Not(_) | Selector::And(_) | Selector::Or(_) => None,
    }
}

/// A selector or a `within` that matches nobody.
fn nothing(rule: &Rule, inventory: Option<&Inventory>) -> Option<Doubt> {
    let inventory = inventory?;
    if let Some(doubt) = nobody(&rule.from, &rule.to, inventory) {
        return Some(doubt);
    }
    let key = rule.within.as_ref()?;
    let carried = inventory.vms.values().any(|vm| vm.labels.contains_key(key));
    (!carried).then(|| Doubt::NobodyCarries(key.clone()))
}

/// A selector that matches nobody.
fn nobody(from: &Selector, to: &Selector, inventory: &Inventory) -> Option<Doubt> {
    let empty = |selector| !outside(selector) && !inventory.vms.values().any(|vm| matches(selector, vm));
    let ends = [(End::Source, from), (End::Destination, to)];
    ends.into_iter().find(|(_, selector)| empty(selector)).map(|(end, _)| Doubt::MatchesNothing(end))
}

/// An allow at one end that the other end's default undoes (semantics 5).
fn undone(policy: &Policy, rule: &Rule, inventory: Option<&Inventory>) -> Option<Doubt> {
    let (other, selector) = match rule.at {
        At::Both => return None,
        At::Source => (End::Destination, &rule.to),
        At::Destination => (End::Source, &rule.from),
    };
    let allowed = |one: &&Rule| one.action == Action::Allow && exists(one, other) && overlap(one, rule);
    let undone = rule.action == Action::Allow
        && policy.default != Verdict::Allow
        && managed(selector, inventory)
        && !policy.rules.iter().any(|one| allowed(&one));
    undone.then_some(Doubt::UndoneAt(other))
}

/// A deny or reject that no managed end enforces (semantics 5).
fn unenforced(rule: &Rule, inventory: Option<&Inventory>) -> Option<Doubt> {
    let someone = |selector| outside(selector) || vms(selector, inventory, |_| true);
    if rule.action == Action::Allow || !someone(&rule.from) || !someone(&rule.to) {
        return None;
    }
    let enforced = (exists(rule, End::Source) && managed(&rule.from, inventory))
        || (exists(rule, End::Destination) && managed(&rule.to, inventory));
    (!enforced).then_some(Doubt::EnforcedNowhere)
}

/// VMs whose addresses lie in a group of addresses (semantics 2).
fn seated(group: &AddressGroup, inventory: Option<&Inventory>) -> impl Iterator<Item = Doubt> {
    let vms = inventory.into_iter().flat_map(|inventory| &inventory.vms);
    vms.filter_map(|(vm, Vm { addresses, .. })| {
        let address = *addresses.iter().find(|address| holds(group, **address))?;
        Some(Doubt::NotByAddress { group: group.name.clone(), vm: vm.clone(), address })
    })
}

fn holds(group: &AddressGroup, address: IpAddr) -> bool {
    let longest = |nets: &[IpNet]| nets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
    longest(&group.includes) > longest(&group.excludes)
}

fn exists(rule: &Rule, end: End) -> bool {
    match rule.at {
        At::Both => true,
        At::Source => end == End::Source,
        At::Destination => end == End::Destination,
    }
}

/// Whether some managed VM can stand where the selector is; without an inventory, whether any VM can.
fn managed(selector: &Selector, inventory: Option<&Inventory>) -> bool {
    vms(selector, inventory, |vm| vm.managed)
}

fn vms(selector: &Selector, inventory: Option<&Inventory>, wanted: impl Fn(&Vm) -> bool) -> bool {
    match inventory {
        Some(inventory) => inventory.vms.values().any(|vm| wanted(vm) && matches(selector, vm)),
        None => can_be_vm(selector),
    }
}

fn matches(selector: &Selector, vm: &Vm) -> bool {
    let value = |key: &String| vm.labels.get(key);
    match selector {
        Selector::Any | Selector::Vms => true,
        Selector::Outside | Selector::Addresses(_) => false,
        Selector::Has(key) => value(key).is_some(),
        Selector::Equals(key, wanted) => value(key) == Some(wanted),
        Selector::Differs(key, other) => value(key) != Some(other),
        Selector::In(key, wanted) => value(key).is_some_and(|value| wanted.contains(value)),
        Selector::Not(inner) => !matches(inner, vm),
        Selector::And(parts) => parts.iter().all(|part| matches(part, vm)),
        Selector::Or(parts) => parts.iter().any(|part| matches(part, vm)),
    }
}

fn can_be_vm(selector: &Selector) -> bool {
    match selector {
        Selector::Outside | Selector::Addresses(_) => false,
        Selector::Any | Selector::Vms | Selector::Not(_) | Selector::Has(_) => true,
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => true,
        Selector::And(parts) => parts.iter().all(can_be_vm),
        Selector::Or(parts) => parts.iter().any(can_be_vm),
    }
}

/// Whether a selector can match an outside address.
fn outside(selector: &Selector) -> bool {
    match selector {
        Selector::Any | Selector::Outside | Selector::Addresses(_) => true,
        Selector::Vms | Selector::Not(_) | Selector::Has(_) => false,
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => false,
        Selector::And(parts) => parts.iter().all(outside),
        Selector::Or(parts) => parts.iter().any(outside),
    }
}

fn uses(selector: &Selector, group: &Name) -> bool {
    match selector {
        Selector::Addresses(found) => found.name == *group,
        Selector::Not(inner) => uses(inner, group),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().any(|part| uses(part, group)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Has(_) => false,
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => false,
    }
}

/// Whether two rules share a service.
fn overlap(one: &Rule, other: &Rule) -> bool {
    one.services.iter().any(|a| other.services.iter().any(|b| meet(*a, *b)))
}

fn meet(one: ServiceMatch, other: ServiceMatch) -> bool {
    let kinds = |a: Option<u8>, b: Option<u8>| a.is_none() || b.is_none() || a == b;
    match (one, other) {
        (ServiceMatch::Any, _) | (_, ServiceMatch::Any) => true,
        (ServiceMatch::Ports { tcp, first, last }, ServiceMatch::Ports { tcp: same, first: begin, last: end }) => {
            tcp == same && first <= end && begin <= last
        }
        (ServiceMatch::Icmp(a), ServiceMatch::Icmp(b)) | (ServiceMatch::Icmpv6(a), ServiceMatch::Icmpv6(b)) => {
            kinds(a, b)
        }
        (ServiceMatch::Proto(a), ServiceMatch::Proto(b)) => a == b,
        (ServiceMatch::Ports { .. } | ServiceMatch::Icmp(_) | ServiceMatch::Icmpv6(_) | ServiceMatch::Proto(_), _) => {
            false
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.rule, self.line) {
            (Some(rule), Some(line)) => write!(f, "{rule} (line {line}): {}", self.doubt),
            (Some(rule), None) => write!(f, "{rule}: {}", self.doubt),
            (None, _) => write!(f, "{}", self.doubt),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MatchesNothing(End::Source) => f.write_str("its `from` matches 0 VMs of the inventory"),
            Self::MatchesNothing(End::Destination) => f.write_str("its `to` matches 0 VMs of the inventory"),
            Self::NobodyCarries(key) => {
                write!(f, "its `within` names the label `{key}`, which no VM of the inventory carries")
            }
            Self::UndoneAt(end) => write!(f, "it allows at one end alone: the default of the {end} undoes it"),
            Self::EnforcedNowhere => f.write_str("no agent enforces it: none stands at an end where it holds"),
            Self::NotByAddress { group, vm, address } => {
                write!(f, "the group `{group}` holds {address} of the VM {vm}, but a VM matches by its labels alone")
            }
        }
    }
}

//! Random policies, inventories and flows, from small pools, so that what can meet does.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

pub mod apart;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use policy::{
    Action, AddressGroup, At, FlowService, Inventory, Mode, Name, Outage, Policy, Rule, Selector, ServiceMatch,
    Services, Tier, Timestamp, Verdict, Vm,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The instants at which rules end: before, at and after [`now`].
const INSTANTS: [&str; 3] = ["2026-01-01T00:00:00Z", "2026-11-24T12:00:00Z", "2027-01-01T00:00:00Z"];
const KEYS: [&str; 3] = ["dept", "app", "env"];
/// The values that selectors name.
pub const VALUES: [&str; 3] = ["a", "b", "c"];
pub const GROUPS: [(&str, &[&str], &[&str]); 10] = [
    ("office", &["10.9.0.0/16", "2001:db8:9::/48"], &[]),
    ("office", &["10.9.0.0/16"], &["10.9.3.0/24"]),
    ("nested", &["10.0.0.0/8", "10.9.3.7/32"], &["10.9.0.0/16"]),
    ("one", &["10.9.3.7/32"], &[]),
    ("tie", &["10.9.0.0/16"], &["10.9.0.0/16"]),
    ("v4", &["0.0.0.0/0"], &[]),
    ("v6", &["::/0"], &["2001:db8:9::1/128"]),
    ("groupcast", &["224.0.0.0/4", "255.255.255.255/32", "ff02::/16"], &[]),
    ("pool", &["10.98.0.0/24", "fd98::/64"], &["10.98.0.3/32"]),
    ("own", &["127.0.0.0/8", "169.254.0.0/16", "fe80::/10", "::1/128"], &[]),
];
/// Addresses that VMs may have.
const BOUND: [&str; 10] = [
    "10.98.0.1",
    "10.98.0.2",
    "10.98.0.3",
    "10.9.3.7",
    "fd98::1",
    "fd98::2",
    "fd98::3",
    "fe80::1",
    "127.0.0.1",
    "224.0.0.5",
];
/// Others.
const OTHERS: [&str; 14] = [
    "10.98.0.0",
    "10.98.0.255",
    "10.98.1.0",
    "10.9.3.6",
    "10.9.3.8",
    "10.9.4.0",
    "10.8.0.1",
    "11.0.0.0",
    "255.255.255.255",
    "169.254.1.1",
    "::1",
    "2001:db8:9::1",
    "2001:db8:8::1",
    "ff02::1",
];
const SERVICES: [ServiceMatch; 17] = [
    ServiceMatch::Any,
    ports(true, 0, 65535),
    ports(false, 0, 65535),
    ports(true, 80, 80),
    ports(true, 0, 0),
    ports(true, 65535, 65535),
    ports(true, 22, 443),
    ports(true, 443, 8080),
    ports(false, 53, 53),
    ports(false, 50, 60),
    ServiceMatch::Icmp(None),
    ServiceMatch::Icmp(Some(8)),
    ServiceMatch::Icmpv6(None),
    ServiceMatch::Icmpv6(Some(128)),
    ServiceMatch::Icmpv6(Some(135)),
    ServiceMatch::Proto(47),
    ServiceMatch::Proto(2),
];

const fn ports(tcp: bool, first: u16, last: u16) -> ServiceMatch {
    ServiceMatch::Ports { tcp, first, last }
}

/// The instant of all tests.
pub fn now() -> Timestamp {
    INSTANTS[1].parse().unwrap()
}

/// All addresses that tell something apart.
pub fn addresses() -> Vec<IpAddr> {
    BOUND.iter().chain(&OTHERS).map(|text| text.parse().unwrap()).collect()
}

/// What a flow may ask for where a rule's services begin or end, and one off.
pub fn edges(policies: &[&Policy]) -> Vec<FlowService> {
    let mut all =
        vec![FlowService::Icmpv6(136), FlowService::Icmpv6(143), FlowService::Proto(2), FlowService::Proto(3)];
    for item in policies.iter().flat_map(|policy| &policy.rules).flat_map(|rule| &rule.services) {
        let near = |first: u16, last: u16| [first.checked_sub(1), Some(first), Some(last), last.checked_add(1)];
        let kinds = |kind: Option<u8>| {
            [
                kind.map_or(0, |kind| kind.wrapping_sub(1)),
                kind.unwrap_or(255),
                kind.map_or(9, |kind| kind.wrapping_add(1)),
            ]
        };
        match *item {
            ServiceMatch::Any => {}
            ServiceMatch::Ports { tcp: true, first, last } => {
                all.extend(near(first, last).into_iter().flatten().map(FlowService::Tcp));
            }
            ServiceMatch::Ports { tcp: false, first, last } => {
                all.extend(near(first, last).into_iter().flatten().map(FlowService::Udp));
            }
            ServiceMatch::Icmp(kind) => all.extend(kinds(kind).map(FlowService::Icmp)),
            ServiceMatch::Icmpv6(kind) => all.extend(kinds(kind).map(FlowService::Icmpv6)),
            ServiceMatch::Proto(number) => all.extend([46, 47, 48, number].map(FlowService::Proto)),
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn group() -> impl Strategy<Value = Selector> {
    select(GROUPS.to_vec()).prop_map(|(name, includes, excludes)| {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let (includes, excludes) = (nets(includes), nets(excludes));
        Selector::Addresses(Arc::new(AddressGroup { name: name.parse().unwrap(), includes, excludes }))
    })
}

/// Selectors as the parser makes them: no group of addresses under `not` or `&`.
pub fn selector() -> impl Strategy<Value = Selector> {
    let key = || select(KEYS.to_vec()).prop_map(str::to_owned);
    let value = || select(VALUES.to_vec()).prop_map(str::to_owned);
    let labels = prop_oneof![
        1 => Just(Selector::Vms),
        1 => key().prop_map(Selector::Has),
        4 => (key(), value()).prop_map(|(key, value)| Selector::Equals(key, value)),
        2 => (key(), value()).prop_map(|(key, value)| Selector::Differs(key, value)),
        2 => (key(), subsequence(VALUES.to_vec(), 1..3)).prop_map(|(key, values)| {
            Selector::In(key, values.into_iter().map(str::to_owned).collect())
        }),
        1 => Just(Selector::Outside),
        1 => Just(Selector::Any),
    ];
    let labels = labels.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Selector::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::And),
            prop::collection::vec(inner, 2..4).prop_map(Selector::Or),
        ]
    });
    prop_oneof![
        3 => Just(Selector::Any),
        5 => labels.clone(),
        2 => group(),
        1 => (labels, group()).prop_map(|(one, other)| Selector::Or(vec![one, other])),
    ]
}

fn services() -> impl Strategy<Value = Services> {
    prop::collection::vec(select(SERVICES.to_vec()), 1..4)
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![5 => Just(Mode::Enforce), 1 => Just(Mode::Monitor)]
}

fn rule() -> impl Strategy<Value = Rule> {
    let action = select(vec![Action::Allow, Action::Allow, Action::Deny, Action::Reject, Action::Pass]);
    let at = prop_oneof![4 => Just(At::Both), 1 => Just(At::Source), 1 => Just(At::Destination)];
    let within = prop_oneof![3 => Just(None), 1 => select(KEYS.to_vec()).prop_map(|key| Some(key.to_owned()))];
    let until = prop_oneof![
        4 => Just(None),
        1 => select(INSTANTS.to_vec()).prop_map(|text| Some(text.parse::<Timestamp>().unwrap())),
    ];
    let ends = (selector(), selector(), within, at);
    (action, services(), ends, mode(), until).prop_map(|(action, services, (from, to, within, at), mode, until)| Rule {
        tier: None,
        name: "r".parse().unwrap(),
        action,
        services,
        from,
        to,
        within,
        at,
        log: false,
        mode,
        until,
        note: None,
        line: 1,
    })
}

type Owned = (Option<Selector>, Vec<Rule>);

fn tiered(owned: Vec<Owned>, default: Verdict, mode: Mode) -> Policy {
    let several = owned.len() > 1;
    let (mut tiers, mut rules) = (Vec::new(), Vec::new());
    for (place, (owns, own)) in owned.into_iter().enumerate() {
        let name: Option<Name> = several.then(|| format!("t{place}").parse().unwrap());
        let tier = (several || owns.is_some()).then(|| Arc::new(Tier { name, place, owns, file: String::new() }));
        tiers.extend(tier.clone());
        for (number, rule) in own.into_iter().enumerate() {
            rules.push(Rule { tier: tier.clone(), name: format!("r{number}").parse().unwrap(), ..rule });
        }
    }
    let (services, groups) = (BTreeMap::new(), BTreeMap::new());
    Policy {
        services,
        groups,
        tiers,
        rules,
        detect: Vec::new(),
        default,
        outage: Outage::default(),
        mode,
        tests: Vec::new(),
    }
}

/// Policies of one to three tiers.
pub fn policy() -> impl Strategy<Value = Policy> {
    let owns = prop_oneof![2 => Just(None), 1 => selector().prop_map(Some)];
    let tier = (owns, prop::collection::vec(rule(), 0..5));
    let default = select(vec![Verdict::Allow, Verdict::Deny, Verdict::Reject]);
    (prop::collection::vec(tier, 1..4), default, mode()).prop_map(|(tiers, default, mode)| tiered(tiers, default, mode))
}

/// A policy and a successor with a few changes, or another policy altogether.
pub fn pair() -> impl Strategy<Value = (Policy, Policy)> {
    let change = (any::<prop::sample::Index>(), 0..6, rule());
    let changed = (policy(), prop::collection::vec(change, 0..3), mode()).prop_map(|(old, changes, mode)| {
        let mut new = Policy { mode, ..old.clone() };
        for (place, kind, rule) in changes {
            apply(&mut new, place, kind, rule);
        }
        (old, new)
    });
    prop_oneof![3 => changed, 1 => (policy(), policy())]
}

fn apply(policy: &mut Policy, place: prop::sample::Index, kind: i32, other: Rule) {
    let Some(rule) = (!policy.rules.is_empty()).then(|| place.index(policy.rules.len())) else {
        policy.default = Verdict::Allow;
        return;
    };
    let (tier, name) = (policy.rules[rule].tier.clone(), policy.rules[rule].name.clone());
    match kind {
        0 => drop(policy.rules.remove(rule)),
        1 => policy.rules[rule] = Rule { tier, name, ..other },
        2 => {
            // No two rules have one name.
            let is_free = |name: &Name| policy.rules.iter().all(|rule| rule.name != *name);
            let name = (0..).map(|number| format!("new-{number}").parse().unwrap()).find(is_free).unwrap();
            policy.rules.insert(rule, Rule { tier, name, ..other });
        }
        3 => policy.rules[rule].services = other.services,
        4 => {
            let first = policy.rules.iter().position(|other| other.place() == policy.rules[rule].place()).unwrap();
            policy.rules[first..=rule].rotate_right(1);
        }
        _ => policy.rules[rule].action = other.action,
    }
}

/// Inventories of up to six VMs.
pub fn inventory() -> impl Strategy<Value = Inventory> {
    let labels = prop::collection::btree_map(
        select(KEYS.to_vec()).prop_map(str::to_owned),
        select(VALUES[..2].iter().chain(&["z", "y"]).copied().collect::<Vec<_>>()).prop_map(str::to_owned),
        0..4,
    );
    let addresses = subsequence(BOUND.to_vec(), 0..5);
    let vm = (labels, addresses, prop::bool::weighted(0.8), prop::bool::weighted(0.1), mode());
    let vm = vm.prop_map(|(labels, addresses, managed, quarantined, mode)| Vm {
        labels,
        addresses: addresses.into_iter().map(|text| text.parse().unwrap()).collect(),
        managed,
        quarantined,
        dhcp: false,
        mode,
    });
    let managed = subsequence(vec!["10.98.0.0/24", "fd98::/64", "10.9.3.0/24"], 0..3);
    (prop::collection::vec(vm, 0..7), managed).prop_map(|(vms, managed)| Inventory {
        managed: managed.into_iter().map(|text| text.parse().unwrap()).collect(),
        vms: vms.into_iter().enumerate().map(|(number, vm)| (format!("vm-{number}").parse().unwrap(), vm)).collect(),
    })
}

//! Random cases, each from its seed alone.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Bundle, Policy, Source};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::case::{Case, Change, Machine};

const KEYS: [&str; 2] = ["dept", "app"];
const VALUES: [&str; 3] = ["red", "green", "blue"];
const SERVICES: [&str; 14] = [
    "any",
    "tcp",
    "udp",
    "tcp/80",
    "tcp/443",
    "tcp/81-443",
    "tcp/80-443",
    "udp/53",
    "udp/1-79",
    "icmp",
    "icmp/echo-request",
    "icmpv6/echo-request",
    "proto/47",
    "tcp/8000-8100",
];

/// States of one topology that differ in their policies alone.
#[must_use]
pub fn policies(seed: u64, states: usize) -> Case {
    let mut random = StdRng::seed_from_u64(seed);
    let vms = (1..=random.random_range(2..=4)).map(|number| machine(&mut random, number)).collect();
    let outside = random.random_bool(0.6);
    let first = policy(&mut random);
    let changes = (1..states).map(|_| Change::Publish(policy(&mut random))).collect();
    Case { name: format!("policies {seed}"), vms, outside, policy: first, changes }
}

/// A history: sessions are open while policies, labels and places change, agents die and return, and the center is out of reach.
#[must_use]
pub fn history(seed: u64, states: usize) -> Case {
    let mut random = StdRng::seed_from_u64(seed);
    let vms: Vec<Machine> = (1..=3).map(|number| machine(&mut random, number)).collect();
    let first = policy(&mut random);
    let mut world = World::of(&vms);
    let changes = (1..states).map(|state| world.change(state, &mut random)).collect();
    Case { name: format!("history {seed}"), vms, outside: random.random_bool(0.3), policy: first, changes }
}

fn machine(random: &mut StdRng, number: usize) -> Machine {
    let keys = KEYS.iter().filter(|_| random.random_bool(0.8)).copied().collect::<Vec<_>>();
    let labels = keys.into_iter().map(|key| (key.to_owned(), one(random, &VALUES).to_owned())).collect();
    let host = random.random_range(1..=2);
    Machine { name: format!("vm-{number}"), host, labels, managed: random.random_bool(0.85) }
}

fn one<T: Copy>(random: &mut StdRng, all: &[T]) -> T {
    all[random.random_range(0..all.len())]
}

/// What stands at a point of a history.
struct World {
    hosts: BTreeMap<String, u8>,
    managed: Vec<String>,
    quarantined: BTreeSet<String>,
    /// An agent that is dead, or out of the center's reach.
    away: Option<(bool, String)>,
}

impl World {
    fn of(vms: &[Machine]) -> Self {
        let hosts = vms.iter().map(|vm| (vm.name.clone(), vm.host)).collect();
        let managed = vms.iter().filter(|vm| vm.managed).map(|vm| vm.name.clone()).collect();
        Self { hosts, managed, quarantined: BTreeSet::new(), away: None }
    }

    /// One change: between two, a late packet of an open session would be judged by what no state has.
    fn change(&mut self, state: usize, random: &mut StdRng) -> Change {
        if let Some((dead, vm)) = self.away.take_if(|_| random.random_bool(0.5)) {
            return if dead { Change::Agent("start", vm) } else { Change::Heal };
        }
        let vm = self.hosts.keys().collect::<Vec<_>>().choose(random).map(|vm| (*vm).clone()).unwrap_or_default();
        match random.random_range(0..10) {
            0 if self.away.is_none() && self.quarantined.is_empty() => self.open(state, random),
            1 | 2 => Change::Label { vm, key: one(random, &KEYS).to_owned(), value: one(random, &VALUES).to_owned() },
            3 => {
                let host = 3 - self.hosts.get(&vm).copied().unwrap_or(1);
                self.hosts.insert(vm.clone(), host);
                Change::Move { vm, host }
            }
            4 if self.is_reached(&vm) && self.quarantined.insert(vm.clone()) => Change::Order("quarantine", vm),
            4 | 5 if self.is_reached(&vm) && self.quarantined.remove(&vm) => Change::Order("release", vm),
            6 if self.away.is_none() && self.is_reached(&vm) => Change::Agent("restart", vm),
            7 if self.away.is_none() && self.is_reached(&vm) => {
                let dead = random.random_bool(0.5);
                self.away = Some((dead, vm.clone()));
                if dead { Change::Agent("kill", vm) } else { Change::Cut(vm) }
            }
            _ => Change::Publish(policy(random)),
        }
    }

    fn is_reached(&self, vm: &String) -> bool {
        self.managed.contains(vm) && self.away.as_ref().is_none_or(|(_, away)| away != vm)
    }

    fn open(&self, state: usize, random: &mut StdRng) -> Change {
        let session = |(number, service): (usize, &&str)| {
            let pair: Vec<&String> = self.hosts.keys().collect::<Vec<_>>().sample(random, 2).copied().collect();
            let [from, to] = pair.as_slice() else { return None };
            let family = one(random, &["v4", "v6"]);
            Some((format!("s{state}-{number}"), (*from).clone(), (*to).clone(), format!("{service} {family}")))
        };
        Change::Open(["tcp/80", "udp/53"].iter().enumerate().filter_map(session).collect())
    }
}

/// One policy, or several in an order.
fn policy(random: &mut StdRng) -> Policy {
    let last = if random.random_bool(0.6) { 0 } else { random.random_range(1..=2) };
    let tiers =
        (0..=last).map(|place| Source { name: format!("t{place}.yaml"), text: tier(random, last > 0, place == last) });
    let bundle = Bundle { tiers: tiers.collect(), included: Vec::new() };
    // What is made here is right by the grammar; a test holds it.
    bundle.policy().unwrap_or_else(|_| Policy::closed())
}

fn tier(random: &mut StdRng, several: bool, last: bool) -> String {
    let mut text = "eastwest: policy/v1\n".to_owned();
    if several && random.random_bool(0.3) {
        text.push_str(&format!("owns: {}\n", labels(random, 2)));
    }
    text.push_str("groups:\n  net: [10.9.0.0/16, not 10.9.1.0/24, \"2001:db8::/32\"]\n");
    if random.random_bool(0.1) {
        text.push_str("mode: monitor\n");
    }
    text.push_str("rules:\n");
    for index in 0..random.random_range(1..=8) {
        text.push_str(&rule(random, index));
    }
    if last {
        text.push_str(&format!("default: {}\n", one(random, &["allow", "deny", "deny", "reject"])));
    }
    text
}

fn rule(random: &mut StdRng, index: usize) -> String {
    let action = one(random, &["allow", "allow", "allow", "deny", "deny", "reject", "pass"]);
    let services: Vec<&str> = (0..random.random_range(1..=2)).map(|_| one(random, &SERVICES)).collect();
    let mut text = format!("  - name: rule-{index}\n    {action}: [{}]\n", services.join(", "));
    for side in ["from", "to"] {
        if random.random_bool(0.6) {
            text.push_str(&format!("    {side}: {}\n", selector(random)));
        }
    }
    if random.random_bool(0.15) {
        text.push_str(&format!("    within: {}\n", one(random, &KEYS)));
    }
    if random.random_bool(0.2) {
        text.push_str(&format!("    at: {}\n", one(random, &["source", "destination"])));
    }
    if random.random_bool(0.1) {
        text.push_str("    mode: monitor\n");
    }
    text
}

/// An expression; address groups stand only where `not` and `&` cannot reach them.
fn selector(random: &mut StdRng) -> String {
    let labels = labels(random, 2);
    if random.random_bool(0.2) {
        return one(random, &["net", "any", "outside", "vms", &format!("net | {labels}")]).to_owned();
    }
    labels
}

fn labels(random: &mut StdRng, depth: usize) -> String {
    let (key, value) = (one(random, &KEYS), one(random, &VALUES));
    match random.random_range(0..if depth == 0 { 4 } else { 7 }) {
        0 => format!("{key} = {value}"),
        1 => format!("{key} != {value}"),
        2 => format!("{key} in ({value}, blue)"),
        3 => format!("has {key}"),
        4 => format!("not ({})", labels(random, depth - 1)),
        5 => format!("({}) & ({})", labels(random, depth - 1), labels(random, depth - 1)),
        _ => format!("({}) | ({})", labels(random, depth - 1), labels(random, depth - 1)),
    }
}

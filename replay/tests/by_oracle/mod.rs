//! The oracle as a judge, and small worlds to judge in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::{Builtin, Flow, FlowService, Inventory, Name, Policy, Timestamp, Vm};
use proptest::prelude::*;
use replay::{Decider, Judge, Judged, Recorded, Seen};

/// Judges by the oracle.
pub(crate) struct ByOracle<'a> {
    policy: &'a Policy,
    inventory: &'a Inventory,
    places: BTreeMap<String, u32>,
}

/// The built-in rules that the oracle knows.
const BUILTINS: [Builtin; 6] = [
    Builtin::Loopback,
    Builtin::Neighbours,
    Builtin::Quarantine,
    Builtin::LinkLocal,
    Builtin::Unknown,
    Builtin::Monitor,
];

impl<'a> ByOracle<'a> {
    pub(crate) fn new(policy: &'a Policy, inventory: &'a Inventory) -> Self {
        let places = policy.rules.iter().map(policy::Rule::full_name).zip(0..).collect();
        Self { policy, inventory, places }
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

impl Judge for ByOracle<'_> {
    fn judge(&self, flow: &Flow) -> Judged {
        let ruling = oracle::evaluate(self.policy, self.inventory, flow, now());
        let builtin = |name: &str| *BUILTINS.iter().find(|builtin| builtin.name() == name).unwrap();
        let by = match ruling.rule.as_deref() {
            None => Decider::Nobody,
            Some("default") => Decider::Default,
            Some(name) => match self.places.get(name) {
                Some(place) => Decider::Rule(*place),
                None => Decider::Builtin(builtin(name)),
            },
        };
        Judged { verdict: ruling.verdict, by, end: ruling.end }
    }
}

/// Twelve VMs of few labels, one of them without an agent, one in quarantine.
pub(crate) fn inventory() -> Inventory {
    let kinds = ["web", "web", "web", "db", "db", "cache", "", "ci", "web", "db", "web", "db"];
    let vm = |(place, kind): (u8, &&str)| {
        let mut labels = BTreeMap::from([("env".to_owned(), if place < 8 { "prod" } else { "staging" }.to_owned())]);
        if !kind.is_empty() {
            labels.insert("app".to_owned(), (*kind).to_owned());
        }
        if place == 7 {
            labels = BTreeMap::from([("odd key".to_owned(), "it's \"quoted\"".to_owned())]);
        }
        let addresses = vec![IpAddr::from([10, 98, 0, place + 1]), format!("fd98::{}", place + 1).parse().unwrap()];
        let vm = Vm { labels, addresses, managed: place != 5, quarantined: place == 11, ..Vm::default() };
        (format!("vm-{place}").parse::<Name>().unwrap(), vm)
    };
    let managed = ["10.98.0.0/16", "fd98::/48", "224.0.0.0/4"].map(|network| network.parse().unwrap()).to_vec();
    Inventory { managed, vms: (0..).zip(&kinds).map(vm).collect() }
}

fn service() -> impl Strategy<Value = FlowService> {
    prop_oneof![
        6 => prop::sample::select(vec![80u16, 443, 5432]).prop_map(FlowService::Tcp),
        2 => Just(FlowService::Udp(53)),
        1 => Just(FlowService::Icmp(8)),
        1 => prop::sample::select(vec![2u8, 47]).prop_map(FlowService::Proto),
    ]
}

/// An address: mostly a VM's, else outside, unknown, link-local or of a group.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        14 => (0..12u8).prop_map(|place| IpAddr::from([10, 98, 0, place + 1])),
        3 => (0..4u8, 0..3u8).prop_map(|(net, host)| IpAddr::from([10, 9, net, host])),
        1 => prop::sample::select(vec!["10.98.7.7", "169.254.0.5", "224.0.0.251", "127.0.0.1"])
            .prop_map(|text| text.parse().unwrap()),
    ]
}

/// Flows that were seen.
pub(crate) fn flows(most: usize) -> impl Strategy<Value = Vec<Seen>> {
    let action = prop_oneof![
        4 => Just(None),
        3 => Just(Some(Recorded::Allowed)),
        1 => Just(Some(Recorded::Intercepted)),
    ];
    let seen =
        (address(), address(), service(), 1..9u64, action).prop_map(|(source, destination, service, count, action)| {
            Seen { count, action, when: Some(1_764_237_600_000), ..Seen::new(Flow { source, destination, service }) }
        });
    prop::collection::vec(seen, 0..most)
}

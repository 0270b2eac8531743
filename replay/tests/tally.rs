//! What is counted is what a naive recount finds, and what is held has a bound.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod by_oracle;

use std::collections::BTreeMap;

use by_oracle::{ByOracle, flows, inventory};
use policy::{End, Flow, FlowService, Policy, parse};
use proptest::prelude::*;
use replay::{Bench, Bounds, Change, Decider, Judge, Judged, Recorded, Replay, Said, Seen, report};

const DRAFT: &str = "eastwest: policy/v1
groups: {office: [10.9.0.0/23]}
rules:
  - {name: web-to-db, allow: tcp/5432, from: app = web, to: app = db}
  - {name: no-staging, reject: any, from: env = staging, to: env = prod}
  - {name: office-to-web, allow: [tcp/80, tcp/443], from: office, to: app = web}
  - {name: names, allow: udp/53}
  - {name: idle, allow: tcp/1}
  - {name: tunnels, deny: proto/47, at: destination}
  - {name: tunnels-out, allow: proto/47, at: source}
default: deny
";
const IN_FORCE: &str = "eastwest: policy/v1
rules:
  - {name: names, allow: udp/53}
  - {name: tunnels, deny: proto/47}
  - {name: web-to-db, allow: tcp/5432, from: app = web, to: app = db, at: source}
  - {name: all-web, allow: [tcp/80, tcp/443], to: app = web}
  - {name: no-staging, deny: any, from: env = staging, to: env = prod}
default: reject
";

fn policies() -> (Policy, Policy) {
    (parse("draft", DRAFT).unwrap(), parse("in-force", IN_FORCE).unwrap())
}

fn said(judged: Judged, policy: &Policy) -> Said {
    Said { verdict: judged.verdict, rule: judged.by.name(policy), end: judged.end }
}

/// Both ends and the service, and what is said by either policy.
type PairKey = (String, String, String, Said, Said);

/// The word of a change, found from names alone.
fn change(was: &Said, now: &Said) -> Change {
    let passes = |said: &Said| said.verdict == policy::Verdict::Allow;
    match (passes(was), passes(now)) {
        (true, false) => Change::NewlyIntercepted,
        (false, true) => Change::NewlyAllowed,
        _ if was == now => Change::Same,
        _ => Change::Otherwise,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_tally_is_a_naive_recount(seen in flows(120)) {
        let (inventory, (draft, in_force)) = (inventory(), policies());
        let (by_draft, by_force) = (ByOracle::new(&draft, &inventory), ByOracle::new(&in_force, &inventory));
        let bench = Bench { policy: &draft, judge: &by_draft };
        let mut replay = Replay::new(bench, Some(Bench { policy: &in_force, judge: &by_force }), &inventory, Bounds::default());
        let mut rules: BTreeMap<Said, u64> = BTreeMap::new();
        let mut pairs: BTreeMap<PairKey, (u64, u64)> = BTreeMap::new();
        let mut changes: BTreeMap<Change, u64> = BTreeMap::new();
        let name = |address| match inventory.owner(address) {
            Some((name, _)) if !address.is_multicast() => name.to_string(),
            _ if address.to_string().starts_with("10.98.") => "unknown in 10.98.7.0/24".to_owned(),
            _ => policy::IpNet::new(address, 24).unwrap().trunc().to_string(),
        };
        for one in &seen {
            replay.see(one);
            let (now, was) = (said(by_draft.judge(&one.flow), &draft), said(by_force.judge(&one.flow), &in_force));
            *rules.entry(now.clone()).or_default() += 1;
            *changes.entry(change(&was, &now)).or_default() += 1;
            let Flow { source, destination, service } = one.flow;
            let sums = pairs.entry((name(source), name(destination), service.to_string(), now, was)).or_default();
            *sums = (sums.0 + 1, sums.1 + one.count);
        }
        let found = replay.report();
        let found_rules: BTreeMap<Said, u64> = found.rules.iter().map(|row| (row.said.clone(), row.sums.flows)).collect();
        prop_assert_eq!(&found_rules, &rules);
        prop_assert_eq!(found.rules.iter().map(|row| row.sums.flows).sum::<u64>(), seen.len() as u64);
        let found_pairs: BTreeMap<_, _> = found.pairs.iter().map(|row| {
            let key = (row.source.clone(), row.destination.clone(), row.service.clone(), row.said.clone(), row.was.clone().unwrap());
            (key, (row.sums.flows, row.sums.packets))
        }).collect();
        prop_assert_eq!(found_pairs, pairs);
        let counted = found.changes.unwrap();
        let of = |change| changes.get(&change).copied().unwrap_or_default();
        prop_assert_eq!(counted.newly_intercepted, of(Change::NewlyIntercepted));
        prop_assert_eq!(counted.newly_allowed, of(Change::NewlyAllowed));
        prop_assert_eq!(counted.otherwise, of(Change::Otherwise));
        prop_assert_eq!(counted.same, of(Change::Same));
        let recorded = |action, passes| seen.iter()
            .filter(|one| one.action == Some(action) && by_draft.judge(&one.flow).passes() == passes).count() as u64;
        prop_assert_eq!(found.recorded_allowed_now_intercepted, recorded(Recorded::Allowed, false));
        prop_assert_eq!(found.recorded_intercepted_now_allowed, recorded(Recorded::Intercepted, true));
        prop_assert!(found.unused.contains(&"idle".to_owned()));
        let _ = report(&found, 3);
        let mut together = Replay::new(bench, Some(Bench { policy: &in_force, judge: &by_force }), &inventory, Bounds::default());
        together.see_all(&seen);
        prop_assert_eq!(together.report(), found);
    }

    #[test]
    fn within_narrow_bounds_flows_are_counted_together_as_one_by_one(seen in flows(300), pairs in 0_usize..40, prefixes in 0_usize..3) {
        let (inventory, (draft, in_force)) = (inventory(), policies());
        let (by_draft, by_force) = (ByOracle::new(&draft, &inventory), ByOracle::new(&in_force, &inventory));
        let (bench, against) = (Bench { policy: &draft, judge: &by_draft }, Bench { policy: &in_force, judge: &by_force });
        let bounds = Bounds { pairs, prefixes };
        let mut one_by_one = Replay::new(bench, Some(against), &inventory, bounds);
        seen.iter().for_each(|one| one_by_one.see(one));
        let mut together = Replay::new(bench, Some(against), &inventory, bounds);
        together.see_all(&seen);
        prop_assert!(together.held().0 <= pairs && together.held().1 <= prefixes);
        prop_assert_eq!(together.report(), one_by_one.report());
    }
}

/// Denies everything by its first rule.
struct Denies;

impl Judge for Denies {
    fn judge(&self, _: &Flow) -> Judged {
        Judged { verdict: policy::Verdict::Deny, by: Decider::Rule(0), end: Some(End::Source) }
    }
}

#[test]
fn what_is_held_has_a_bound_and_what_is_beyond_is_counted() {
    let (inventory, (draft, _)) = (inventory(), policies());
    let bounds = Bounds { pairs: 1000, prefixes: 50 };
    let mut replay = Replay::new(Bench { policy: &draft, judge: &Denies }, None, &inventory, bounds);
    let mut held = Vec::new();
    for number in 0..400_000_u32 {
        let source = std::net::Ipv4Addr::from(0x0b00_0000 + number * 64).into();
        let service = FlowService::Tcp((number % 60_000) as u16);
        replay.see(&Seen::new(Flow { source, destination: [10, 98, 0, 1].into(), service }));
        if number == 100_000 || number == 399_999 {
            held.push(replay.held());
        }
    }
    assert_eq!(held, [(1000, 50); 2]);
    let found = replay.report();
    assert_eq!(found.all.flows, 400_000);
    assert_eq!(found.rules[0].sums.intercepted, 400_000, "by rule nothing is left out");
    assert_eq!(found.pairs.iter().map(|row| row.sums.flows).sum::<u64>() + found.beyond.flows, 400_000);
    assert_eq!(found.crowded, 400_000 - 50 * 4);
    assert!(found.pairs.iter().any(|row| row.source == "others outside"));
    let text = report(&found, 2);
    for part in [
        "400,000 flows: 0 would be allowed, 400,000 intercepted",
        "flows of further pairs, counted above",
        "rows more (--top",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_is_judged_otherwise_is_said_in_words() {
    let (inventory, (draft, in_force)) = (inventory(), policies());
    let (by_draft, by_force) = (ByOracle::new(&draft, &inventory), ByOracle::new(&in_force, &inventory));
    let against = Bench { policy: &in_force, judge: &by_force };
    let mut replay =
        Replay::new(Bench { policy: &draft, judge: &by_draft }, Some(against), &inventory, Bounds::default());
    let rows = [
        ("10.98.0.1", "10.98.0.4", "tcp/5432"),
        ("10.98.0.2", "10.98.0.1", "tcp/80"),
        ("10.9.0.1", "10.98.0.1", "tcp/443"),
        ("10.98.0.9", "10.98.0.1", "tcp/22"),
        ("10.98.0.1", "10.98.0.2", "udp/53"),
    ];
    for (source, destination, service) in rows {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        let flow = Flow { source, destination, service: service.parse().unwrap() };
        replay.see(&Seen { when: Some(1_764_237_600_000), action: Some(Recorded::Allowed), ..Seen::new(flow) });
    }
    let expected = "\
5 flows at 2025-11-27T10:00:00Z: 3 would be allowed, 2 intercepted

by rule:
              1  allow by web-to-db
              1  allow by office-to-web
              1  allow by names
              1  deny by default at source
              1  reject by no-staging at source
  no flow was decided by idle, tunnels, tunnels-out

would be intercepted (2 flows):
              1  vm-1 -> vm-0 tcp/80: deny by default at source; it was allow by all-web
              1  vm-8 -> vm-0 tcp/22: reject by no-staging at source; it was deny by no-staging at source

recorded as passed, would be intercepted (2 flows):
              1  vm-1 -> vm-0 tcp/80: deny by default at source; it was allow by all-web
              1  vm-8 -> vm-0 tcp/22: reject by no-staging at source; it was deny by no-staging at source

beside the policy in force:
  judged alike: 1 flow

newly intercepted (1 flow):
              1  vm-1 -> vm-0 tcp/80: deny by default at source; it was allow by all-web

newly allowed (1 flow):
              1  vm-0 -> vm-3 tcp/5432: allow by web-to-db; it was reject by default at destination

decided by another rule, at another end or with another answer (2 flows):
              1  vm-8 -> vm-0 tcp/22: reject by no-staging at source; it was deny by no-staging at source
              1  10.9.0.0/24 -> vm-0 tcp/443: allow by office-to-web; it was allow by all-web
";
    assert_eq!(report(&replay.report(), 10), expected);
}

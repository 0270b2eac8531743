//! What a suggestion allows: all that was seen, and beyond it exactly what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod by_oracle;

use std::collections::BTreeSet;
use std::net::IpAddr;

use by_oracle::{ByOracle, flows, inventory, now};
use policy::{Flow, FlowService, Inventory, IpNet, Policy, Verdict, parse};
use proptest::prelude::*;
use replay::{Bench, Bounds, Options, Recorded, Replay, Seen, Suggestion, suggest};

const NOTHING: &str = "eastwest: policy/v1\nrules: []\ndefault: deny\n";

fn suggested(seen: &[Seen], inventory: &Inventory, options: &Options) -> Suggestion {
    let policy = parse("nothing", NOTHING).unwrap();
    let judge = ByOracle::new(&policy, inventory);
    let mut replay = Replay::new(Bench { policy: &policy, judge: &judge }, None, inventory, Bounds::default());
    replay.see_all(seen);
    suggest(&replay, options)
}

/// A party as a suggestion counts it: a VM's name, or a prefix.
fn party(address: IpAddr, inventory: &Inventory) -> String {
    match inventory.owner(address) {
        Some((name, _)) => name.to_string(),
        None => IpNet::new(address, 24).unwrap().trunc().to_string(),
    }
}

/// Whether a flow is one that a suggestion is to allow.
fn is_wanted(seen: &Seen, inventory: &Inventory) -> bool {
    let all_open = parse("open", "eastwest: policy/v1\nrules: []\ndefault: allow\n").unwrap();
    let passes = oracle::evaluate(&all_open, inventory, &seen.flow, now());
    seen.action != Some(Recorded::Intercepted) && passes.verdict == Verdict::Allow
}

/// Every pair of parties that can be told apart, with an address of each.
fn everyone(seen: &[Seen], inventory: &Inventory) -> BTreeSet<(String, IpAddr)> {
    let vms = inventory.vms.iter().map(|(name, vm)| (name.to_string(), vm.addresses[0]));
    let wanted = seen.iter().filter(|one| is_wanted(one, inventory) && reaches_a_vm(one, inventory));
    let ends = wanted.flat_map(|one| [one.flow.source, one.flow.destination]);
    let outside = ends.filter(|end| inventory.owner(*end).is_none()).map(|end| {
        let network = IpNet::new(end, 24).unwrap().trunc();
        (network.to_string(), network.addr())
    });
    vms.chain(outside).collect()
}

fn reaches_a_vm(seen: &Seen, inventory: &Inventory) -> bool {
    let passes_always = matches!(seen.flow.service, FlowService::Proto(2));
    let loops = seen.flow.source.is_loopback() || seen.flow.destination.is_loopback();
    let vms = [seen.flow.source, seen.flow.destination].map(|end| inventory.owner(end).map(|(name, _)| name));
    !passes_always && !loops && vms[0] != vms[1]
}

/// The pairs and services that one rule of a policy matches and that were not seen, by the slow and obvious way.
fn unseen(
    policy: &Policy,
    rule: &str,
    seen: &[Seen],
    inventory: &Inventory,
) -> BTreeSet<(String, String, FlowService)> {
    let wanted = seen.iter().filter(|one| is_wanted(one, inventory) && reaches_a_vm(one, inventory));
    let met: BTreeSet<(String, String, FlowService)> = wanted
        .map(|one| (party(one.flow.source, inventory), party(one.flow.destination, inventory), one.flow.service))
        .collect();
    // Without agents' own marks nothing but the rule decides: who matches is asked of a policy of this rule alone.
    let mut open = inventory.clone();
    open.vms.values_mut().for_each(|vm| (vm.managed, vm.quarantined) = (true, false));
    let only = policy.rules.iter().find(|found| found.name.as_str() == rule).unwrap().clone();
    let alone = Policy { rules: vec![only], ..policy.clone() };
    let everyone = everyone(seen, inventory);
    let services: BTreeSet<FlowService> = seen.iter().map(|one| one.flow.service).collect();
    let pairs =
        everyone.iter().flat_map(|from| everyone.iter().filter(move |to| to.0 != from.0).map(move |to| (from, to)));
    let all = pairs.flat_map(|pair| services.iter().map(move |service| (pair, *service)));
    let matched = all.filter(|((from, to), service)| {
        let flow = Flow { source: from.1, destination: to.1, service: *service };
        let ruling = oracle::evaluate(&alone, &open, &flow, now());
        ruling.verdict == Verdict::Allow && ruling.rule.as_deref() == Some(rule)
    });
    let keys = matched.map(|((from, to), service)| (from.0.clone(), to.0.clone(), service));
    keys.filter(|key| !met.contains(key)).collect()
}

fn check(seen: &[Seen], options: &Options) {
    let inventory = inventory();
    let suggestion = suggested(seen, &inventory, options);
    let policy =
        parse("suggested", &suggestion.text).unwrap_or_else(|errors| panic!("{}\n{errors:?}", suggestion.text));
    assert_eq!(suggestion.uncovered, 0);
    for one in seen.iter().filter(|one| is_wanted(one, &inventory)) {
        let ruling = oracle::evaluate(&policy, &inventory, &one.flow, now());
        assert_eq!(ruling.verdict, Verdict::Allow, "{:?} by {ruling:?}\n{}", one.flow, suggestion.text);
    }
    let mut all = BTreeSet::new();
    for rule in &suggestion.rules {
        let unseen = unseen(&policy, &rule.name, seen, &inventory);
        assert_eq!(rule.excess, unseen.len() as u64, "{rule:?} {unseen:?}\n{}", suggestion.text);
        let shown: Vec<String> = unseen.iter().map(|(from, to, service)| format!("{from} -> {to} {service}")).collect();
        assert!(rule.examples.iter().all(|example| shown.contains(example)), "{rule:?}");
        assert_eq!(rule.examples.len(), unseen.len().min(5), "{rule:?}");
        all.extend(unseen);
    }
    assert_eq!(suggestion.excess, all.len() as u64, "{}", suggestion.text);
    assert_eq!(suggested(seen, &inventory, options), suggestion, "the same again");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn it_allows_what_was_seen_and_what_it_says(seen in flows(60), slack in prop::sample::select(vec![0u8, 30, 100])) {
        check(&seen, &Options { slack, ..Options::default() });
    }
}

fn seen(rows: &[(&str, &str, &str)]) -> Vec<Seen> {
    let one = |(source, destination, service): &(&str, &str, &str)| {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        Seen::new(Flow { source, destination, service: service.parse().unwrap() })
    };
    rows.iter().map(one).collect()
}

#[test]
fn departments_become_few_rules() {
    let mut rows = Vec::new();
    for web in ["10.98.0.1", "10.98.0.2", "10.98.0.3"] {
        for db in ["10.98.0.4", "10.98.0.5"] {
            rows.push((web, db, "tcp/5432"));
        }
        rows.push(("10.9.0.7", web, "tcp/443"));
    }
    rows.extend([
        ("10.9.1.1", "10.98.0.1", "tcp/443"),
        ("10.98.0.9", "10.98.0.10", "tcp/5432"),
        ("10.98.0.1", "10.98.7.7", "tcp/1"),
    ]);
    let mut seen = seen(&rows);
    seen.push(Seen { action: Some(Recorded::Intercepted), ..seen[0] });
    let suggestion = suggested(&seen, &inventory(), &Options::default());
    let expected = "\
# A suggestion from recorded traffic; read it before use. It allows what was seen, whether or not that was right,
# and knows nothing of what happens once a month. Nothing publishes it but you.
# allowed, too, and not seen, as the rules say: 5 pairs
# left out, for they are recorded as intercepted: 1 flow
# of unknown addresses, of quarantined VMs or link-local, which no rule can allow: 1 flow
eastwest: policy/v1
groups:
  seen-1: [\"10.9.0.0/24\", \"10.9.1.0/24\"]
rules:
  # 6 flows between 6 pairs
  - name: app-web-env-prod-to-app-db-env-prod
    allow: [tcp/5432]
    from: 'app = web & env = prod'
    to: 'app = db & env = prod'
  # 4 flows between 4 pairs
  # allowed, too, and not seen: 2 pairs: 10.9.1.0/24 -> vm-1 tcp/443, 10.9.1.0/24 -> vm-2 tcp/443
  - name: seen-1-to-app-web-env-prod
    allow: [tcp/443]
    from: 'seen-1'
    to: 'app = web & env = prod'
  # 1 flow between 1 pair
  # allowed, too, and not seen: 3 pairs: vm-10 -> vm-11 tcp/5432, vm-10 -> vm-9 tcp/5432, vm-8 -> vm-11 tcp/5432
  - name: app-web-env-staging-to-app-db-env-staging
    allow: [tcp/5432]
    from: 'app = web & env = staging'
    to: 'app = db & env = staging'
default: deny
";
    assert_eq!(suggestion.text, expected);
}

#[test]
fn it_is_exact_where_labels_allow() {
    let rows = [
        // One class with two prefixes, another with one of them, and a selector that matches both.
        ("10.9.0.7", "10.98.0.1", "tcp/80"),
        ("10.9.0.7", "10.98.0.2", "tcp/80"),
        ("10.9.0.7", "10.98.0.3", "tcp/80"),
        ("10.9.1.7", "10.98.0.1", "tcp/80"),
        ("10.9.1.7", "10.98.0.2", "tcp/80"),
        ("10.9.1.7", "10.98.0.3", "tcp/80"),
        ("10.9.1.7", "10.98.0.9", "tcp/80"),
        ("10.9.1.7", "10.98.0.11", "tcp/80"),
        // Three classes of one VM each, all to all but themselves.
        ("10.98.0.6", "10.98.0.7", "tcp/1"),
        ("10.98.0.7", "10.98.0.6", "tcp/1"),
        // And one way alone.
        ("10.98.0.6", "10.98.0.7", "tcp/2"),
    ];
    let suggestion = suggested(&seen(&rows), &inventory(), &Options::default());
    assert_eq!((suggestion.excess, suggestion.uncovered), (0, 0), "{}", suggestion.text);
    assert!(suggestion.rules.iter().all(|rule| rule.excess == 0));
    assert_eq!(suggestion.rules.len(), 4, "{}", suggestion.text);
}

#[test]
fn slack_saves_rules() {
    let rows: Vec<(String, String)> = (1..=11).map(|n| (format!("10.98.0.{n}"), "10.98.0.10".to_owned())).collect();
    let rows: Vec<_> = rows.iter().filter(|(from, to)| from != to && !from.ends_with(".6")).collect();
    let rows: Vec<_> = rows.iter().map(|(from, to)| (from.as_str(), to.as_str(), "tcp/5432")).collect();
    let counted = |slack| {
        let suggestion = suggested(&seen(&rows), &inventory(), &Options { slack, ..Options::default() });
        (suggestion.rules.len(), suggestion.excess)
    };
    let (exact, loose) = (counted(0), counted(90));
    assert!(exact.0 > loose.0 && exact.1 < loose.1, "{exact:?} {loose:?}");
}

#[test]
fn its_rules_and_groups_are_bounded_and_what_is_left_is_said() {
    let rows: Vec<(String, String, String)> =
        (0..40).map(|n| (format!("10.{n}.0.1"), format!("10.98.0.{}", 1 + n % 10), format!("tcp/{n}"))).collect();
    let rows: Vec<_> = rows.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    let suggestion = suggested(&seen(&rows), &inventory(), &Options { rules: 7, groups: 3, ..Options::default() });
    assert_eq!((suggestion.rules.len(), suggestion.groups.len()), (7, 3));
    let covered: u64 = suggestion.rules.iter().map(|rule| rule.flows).sum();
    assert_eq!(covered + suggestion.uncovered, 40);
    assert!(
        suggestion.text.contains(&format!(
            "# NOT covered, for there was no room for more pairs or rules: {} flow",
            suggestion.uncovered
        )),
        "{}",
        suggestion.text
    );
    assert!(
        suggestion.rules.iter().any(|rule| rule.any_outside) && suggestion.text.contains("any other address outside")
    );
}

//! A policy that is written reads as the same; and what small changes of one there are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use policy::mutate::{Values, mutants};
use policy::{Policy, parse, render_plain};

const POLICIES: [&str; 4] = [
    include_str!("../../scenarios/departments.yaml"),
    "eastwest: policy/v1
services: {web: [tcp/80, tcp/443]}
groups: {hr: dept = hr, office: [10.9.0.0/16, not 10.9.3.0/24, \"2001:db8::/32\"]}
mode: monitor
rules:
  - {name: a, allow: web, from: office | hr, to: 'not \"a b\" = \"c, d\"', within: dept, at: source, log: true}
  - {name: b, reject: [icmp/echo-request, proto/47, udp], until: 2027-01-31T18:00:00Z, note: 'why: \"x\" — y'}
  - {name: c, pass: any, from: \"app in (web, db) & has dept\", to: outside, at: destination}
detect:
  - {name: scan, scan: {ports: 20, within: 10s}, from: vms, then: quarantine, for: 10m}
  - {name: copies, volume: {bytes: 10G, within: 1m}, from: hr, then: alert}
default: reject
outage: lease 10m
",
    "eastwest: bundle/v1
tiers: [first.yaml, second.yaml]
files:
  first.yaml: |
    eastwest: policy/v1
    owns: dept = hr
    groups: {office: [10.9.0.0/16]}
    rules: [{name: a, pass: tcp/80, from: office}]
  second.yaml: |
    eastwest: policy/v1
    groups: {office: [10.8.0.0/16]}
    rules: [{name: a, deny: tcp/80, from: office}]
    default: allow
",
    "eastwest: policy/v1\nowns: dept = hr\nrules: []\n",
];

fn read(text: &str) -> Policy {
    parse("policy.yaml", text).unwrap_or_else(|errors| panic!("{}\n{text}", render_plain(&errors)))
}

/// All but lines and what groups of labels are called.
fn meant(policy: &Policy) -> String {
    let Policy { services, rules, detect, default, outage, mode, .. } = policy;
    let rules = rules
        .iter()
        .map(|rule| format!("{} {:?}", rule.full_name(), policy::Rule { line: 0, tier: None, ..rule.clone() }));
    let detect = detect.iter().map(|one| policy::Detector { line: 0, tier: None, ..one.clone() });
    let owns: Vec<_> = policy.tiers.iter().map(|tier| (&tier.name, &tier.owns)).collect();
    format!(
        "{services:?} {:?} {:?} {owns:?} {default} {outage:?} {mode:?}",
        rules.collect::<Vec<_>>(),
        detect.collect::<Vec<_>>()
    )
}

#[test]
fn a_policy_that_is_written_reads_the_same() {
    for policy in POLICIES.map(read) {
        assert_eq!(meant(&read(&policy.text())), meant(&policy), "{}", policy.text());
    }
}

#[test]
fn mutants_are_policies_and_no_two_are_alike() {
    let values = Values::from([("dept".to_owned(), ["hr", "finance"].map(str::to_owned).into())]);
    for policy in POLICIES.map(read) {
        let all = mutants(&policy, &values);
        for (place, mutant) in all.iter().enumerate() {
            assert_ne!(mutant.policy, policy, "{}", mutant.change);
            assert!(!all[..place].iter().any(|other| other.policy == mutant.policy), "{}", mutant.change);
            read(&mutant.policy.text());
        }
    }
}

#[test]
fn the_changes_are_told_in_words() {
    let policy = read(
        "eastwest: policy/v1
groups: {net: [10.9.0.0/16]}
rules:
  - {name: a, reject: 'tcp/80-90', from: dept = hr, to: net}
  - {name: b, allow: any, within: dept}
default: deny
",
    );
    let values = Values::from([("dept".to_owned(), ["hr", "finance"].map(str::to_owned).into())]);
    let told: Vec<String> = mutants(&policy, &values)
        .iter()
        .map(|mutant| format!("{}: {}", mutant.rule.as_deref().unwrap_or("default"), mutant.change))
        .collect();
    let expected = "a: the rule is gone
a: reject is allow
a: reject is deny
a: `tcp/80-90` is `tcp/79-90`
a: `tcp/80-90` is `tcp/80-91`
a: `tcp/80-90` is `udp/80-90`
a: `from`: `dept = hr` is `dept = finance`
a: `from`: `dept = hr` is `dept != hr`
a: `from`: `dept = hr` is `any`
a: `to`: 10.9.0.0/16 in `net` is 10.8.0.0/15
a: `to`: `net` is `any`
a: the ends are swapped
a: it holds at the source alone
a: it holds at the destination alone
a: it only records
a: `b` stands before it
b: the rule is gone
b: allow is deny
b: `from`: `any` is `vms`
b: `to`: `any` is `vms`
b: `within` is gone
b: it holds at the source alone
b: it holds at the destination alone
b: it only records
default: the default is allow";
    assert_eq!(told.join("\n"), expected);
}

//! A classifier says of every flow what the oracle says, at each end and together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod random;

use oracle::{EndVerdict, judge};
use policy::classify::{Classifier, Decision, EndJudged};
use policy::{End, Flow, Inventory, Policy, Verdict, Would};
use proptest::prelude::*;
use random::{addresses, edges, now};

/// What an end says, in the oracle's words.
fn told(classifier: &Classifier, end: End, judged: EndJudged) -> EndVerdict {
    let rule = |decision: Decision| classifier.name(decision.decider).to_owned();
    let EndJudged { acted, live } = judged;
    let at = (live.verdict != Verdict::Allow).then_some(end);
    let would = (acted != live).then(|| Would { verdict: live.verdict, rule: Some(rule(live)), end: at });
    EndVerdict { verdict: acted.verdict, rule: rule(acted), would }
}

fn check(policy: &Policy, inventory: &Inventory, classifier: &Classifier, flow: &Flow) {
    let (expected, found) = (judge(policy, inventory, flow, now()), classifier.judge(flow));
    let context = || format!("{flow:?}\n{inventory:?}\n{policy:#?}");
    assert_eq!(classifier.ruling(&found), expected.ruling, "{}", context());
    let end = |end, judged: Option<EndJudged>| judged.map(|judged| told(classifier, end, judged));
    assert_eq!(end(End::Source, found.source), expected.source, "{}", context());
    assert_eq!(end(End::Destination, found.destination), expected.destination, "{}", context());
    let rule = found.outcome.decider.and_then(|decider| decider.rule()).map(|number| policy.rules[number].full_name());
    assert!(rule.is_none() || rule == expected.ruling.rule, "{}", context());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_classifier_is_the_oracle(
        policy in random::policy(),
        inventory in random::inventory(),
        pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 8),
    ) {
        let (classifier, addresses) = (Classifier::new(&policy, &inventory, now()), addresses());
        for (source, destination) in pairs {
            let (source, destination) = (*source.get(&addresses), *destination.get(&addresses));
            for service in edges(&[&policy]) {
                check(&policy, &inventory, &classifier, &Flow { source, destination, service });
            }
        }
    }
}

//! Why a flow gets its verdict: every reason, and the words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use oracle::{Reason, why};
use policy::{End, Flow, Inventory, Policy, Vm, parse};

const POLICY: &str = "eastwest: policy/v1
rules:
  - {name: past, allow: any, until: 2026-01-01T00:00:00Z}
  - {name: far-end, allow: any, at: destination}
  - {name: telnet, deny: tcp/23}
  - {name: from-hr, allow: any, from: dept = hr}
  - {name: to-hr, allow: any, to: dept = hr}
  - {name: together, allow: any, within: dept}
  - {name: tried, reject: any, mode: monitor}
  - {name: web, allow: tcp/80}
  - {name: never-reached, deny: any}
default: deny
";

fn world() -> (Policy, Inventory) {
    let vm = |address: &str, dept: &str, managed| {
        let labels = BTreeMap::from([("dept".to_owned(), dept.to_owned())]);
        Vm { labels, addresses: vec![address.parse().unwrap()], managed, ..Vm::default() }
    };
    let vms = [
        ("fin", vm("10.98.0.1", "finance", true)),
        ("it", vm("10.98.0.2", "it", true)),
        ("bare", vm("10.98.0.3", "it", false)),
    ];
    let vms = vms.into_iter().map(|(name, vm)| (name.parse().unwrap(), vm)).collect();
    (parse("p.yaml", POLICY).unwrap(), Inventory { managed: vec!["10.98.0.0/16".parse().unwrap()], vms })
}

fn explain(source: &str, destination: &str, service: &str) -> oracle::Explanation {
    let (policy, inventory) = world();
    let flow = Flow {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        service: service.parse().unwrap(),
    };
    why(&policy, &inventory, &flow, "2026-11-24T12:00:00Z".parse().unwrap())
}

#[test]
fn each_rule_passed_over_has_its_reason() {
    let explanation = explain("10.98.0.1", "10.98.0.2", "tcp/80");
    let source = explanation.source.unwrap();
    let passed: Vec<(&str, Reason)> =
        source.passed.iter().map(|passed| (passed.rule.as_str(), passed.reason)).collect();
    assert_eq!(
        passed,
        [
            ("past", Reason::Expired),
            ("far-end", Reason::NotThisEnd),
            ("telnet", Reason::Service),
            ("from-hr", Reason::From),
            ("to-hr", Reason::To),
            ("together", Reason::Within),
            ("tried", Reason::Monitor),
        ]
    );
    assert_eq!(
        (source.end, source.vm.as_str(), source.rule.as_str(), source.place.as_ref().map(|place| place.line)),
        (End::Source, "fin", "web", Some(10))
    );
    let destination = explanation.destination.unwrap();
    assert_eq!((destination.rule.as_str(), destination.passed.len()), ("far-end", 1));
}

#[test]
fn the_words_are_plain() {
    let said = explain("10.98.0.1", "10.98.0.3", "tcp/80").to_string();
    let expected = "10.98.0.1 -> 10.98.0.3 tcp/80: allow by web
at the source, fin: allow by web (line 10)
  without monitoring: reject by tried
  passed over past (line 3): its `until` is past
  passed over far-end (line 4): it does not hold at this end
  passed over telnet (line 5): it is about other services
  passed over from-hr (line 6): its `from` is not this source
  passed over to-hr (line 7): its `to` is not this destination
  passed over together (line 8): the ends do not share the label of its `within`
  passed over tried (line 9): it matches, but only monitors
at the destination: no agent, everything passes
";
    assert_eq!(said, expected);
    let said = explain("192.0.2.1", "10.98.0.3", "tcp/80").to_string();
    assert!(said.starts_with("192.0.2.1 -> 10.98.0.3 tcp/80: allow, for no agent stands at either end\n"), "{said}");
    let said = explain("10.98.0.1", "10.98.9.9", "tcp/80").to_string();
    assert!(said.starts_with("10.98.0.1 -> 10.98.9.9 tcp/80: deny by eastwest/unknown at the source\n"), "{said}");
}

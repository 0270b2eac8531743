//! Differences in words, and where they end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use policy::diff::{Difference, Kind, LARGEST, Row, TooMuch, Undecidable, diff, diff_all};
use policy::{Inventory, Policy, Timestamp, Vm, parse, render_plain};

const BEFORE: &str = "
rules:
  - {name: web, allow: [tcp/80, tcp/443], from: office, to: app = web}
  - {name: ledger, allow: tcp/5432, from: app = web, to: app = db}
  - {name: own, allow: any, within: dept}
default: deny
groups: {office: [10.9.0.0/16, not 10.9.3.0/24]}
";

fn read(text: &str) -> Policy {
    parse("p", &format!("eastwest: policy/v1\n{text}")).unwrap_or_else(|errors| panic!("{}", render_plain(&errors)))
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn inventory() -> Inventory {
    let vm = |number: u8, labels: &[(&str, &str)]| Vm {
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        addresses: vec![format!("10.98.0.{number}").parse().unwrap()],
        managed: true,
        ..Vm::default()
    };
    let vms = [
        ("fin-db", vm(1, &[("dept", "finance"), ("app", "db")])),
        ("fin-web", vm(2, &[("dept", "finance"), ("app", "web")])),
        ("hr-1", vm(3, &[("dept", "hr")])),
        ("hr-2", vm(4, &[("dept", "hr")])),
    ];
    let managed = vec!["10.98.0.0/16".parse().unwrap()];
    Inventory { managed, vms: vms.into_iter().map(|(name, vm)| (name.parse().unwrap(), vm)).collect() }
}

/// The difference that a change of the text makes, with an inventory and without.
fn changed(from: &str, to: &str) -> [Difference; 2] {
    assert!(BEFORE.contains(from), "{from}");
    let (old, new) = (read(BEFORE), read(&BEFORE.replacen(from, to, 1)));
    [diff(&old, &new, &inventory(), now()), diff_all(&old, &new, now()).unwrap()]
}

fn check(from: &str, to: &str, expected: [&str; 2]) {
    let found = changed(from, to).map(|difference| difference.human());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.trim(), expected.trim(), "{from} to {to}");
    }
}

#[test]
fn nothing_changes() {
    let words = "no flow changes its verdict or its rule";
    check("name: web", "note: other words, name: web", [words, words]);
}

#[test]
fn a_port_more() {
    check(
        "tcp/443",
        "tcp/443-444",
        [
            "
newly allowed: office v4 -> fin-web
  tcp/444
  before: deny by default at destination
  after:  allow by web
  1 flow, such as 10.9.0.1 -> fin-web tcp/444

1 flow newly allowed",
            "
newly allowed: office v4 -> (app = web)
  tcp/444
  before: deny by default at destination
  after:  allow by web
  2 flows, such as 10.9.0.1 -> app=web,dept=other tcp/444

2 flows newly allowed",
        ],
    );
}

#[test]
fn equal_values_of_a_label() {
    check(
        "within: dept",
        "within: dept, at: source",
        [
            "
newly intercepted: fin-db -> fin-web
  tcp, udp, icmp, proto
  before: allow by own
  after:  deny by default at destination
  131579 flows, such as fin-db -> fin-web tcp/1

newly intercepted: hr-1, hr-2 -> hr-1, hr-2
  tcp, udp, icmp, proto
  before: allow by own
  after:  deny by default at destination
  263158 flows, such as hr-1 -> hr-2 tcp/1

newly intercepted: fin-web -> fin-db
  tcp/0-5431, tcp/5433-65535, udp, icmp, proto
  before: allow by own
  after:  deny by default at destination
  131578 flows, such as fin-web -> fin-db tcp/1

526315 flows newly intercepted",
            "
newly intercepted: (app = web & has dept) -> (app != db & has dept; the source's own dept)
  any
  before: allow by own
  after:  deny by default at destination
  263654 flows, such as app=web,dept=other -> app=other,dept=other tcp/1

newly intercepted: (app != web & has dept) -> (has dept; the source's own dept)
  any
  before: allow by own
  after:  deny by default at destination
  790962 flows, such as app=other,dept=other -> app=other,dept=other tcp/1

newly intercepted: (app = web & has dept) -> (app = db & has dept; the source's own dept)
  tcp/0-5431, tcp/5433-65535, udp, icmp, icmpv6, proto
  before: allow by own
  after:  deny by default at destination
  131826 flows, such as app=web,dept=other -> app=db,dept=other tcp/1

1186442 flows newly intercepted",
        ],
    );
}

#[test]
fn a_comment() {
    let [_, difference] = changed("app = web, to", "app = web | dept = hr, to");
    let expected = r"**4 flows newly allowed, 2 flows by another rule**

| | from | to | services | before | after | flows | such as |
|---|---|---|---|---|---|---:|---|
| newly allowed | (app != web & dept = hr) | (app = db & dept != hr) | tcp/5432 | deny by default at source | allow by ledger | 4 | app=other,dept=hr -\> app=db,dept=other tcp/5432 |
| by another rule | (app != web & dept = hr) | (app = db & dept = hr) | tcp/5432 | allow by own | allow by ledger | 2 | app=other,dept=hr -\> app=db,dept=hr tcp/5432 |
";
    assert_eq!(difference.markdown(), expected);
}

/// Rules for each of so many values of three keys.
fn kinds(values: usize, default: &str) -> Policy {
    let rule = |key: &str, value: usize| format!("  - {{name: {key}-{value}, allow: tcp/1, from: {key} = v{value}}}\n");
    let all = ["a", "b", "c"].into_iter().flat_map(|key| (0..values).map(move |value| rule(key, value)));
    read(&format!("rules:\n{}default: {default}\n", all.collect::<String>()))
}

#[test]
fn too_many_kinds_end_in_their_number() {
    let (old, new) = (kinds(30, "deny"), kinds(1, "deny"));
    let undecidable = diff_all(&old, &new, now()).unwrap_err();
    assert_eq!(undecidable, Undecidable::Kinds(TooMuch::Kinds(31 * 31 * 31, LARGEST)));
    let expected = "decide it for all labels: the selectors tell apart up to 29791 kinds of VMs, and 20000 are the most; give an inventory";
    assert_eq!(undecidable.to_string(), expected);
    let found = diff(&old, &new, &inventory(), now());
    assert!(found.rows.is_empty() && !found.has(&[Kind::NewlyAllowed]));
}

#[test]
fn too_many_pairs_end_in_their_number() {
    let [old, new] = ["deny", "allow"].map(|default| kinds(17, default));
    // With those outside: one machine's addresses and multicast, in both families.
    let kinds: u64 = 18 * 18 * 18 + 4;
    assert_eq!(diff_all(&old, &new, now()), Err(Undecidable::Pairs(kinds * kinds)));
}

#[test]
fn vms_that_change_alike_towards_each_other_are_one_row() {
    let apart = "  - {name: apart, deny: tcp/9, from: app = web, to: outside}\n  - {name: too, deny: tcp/9, from: app = db, to: outside}\n";
    let [old, new] = ["  - {name: all, allow: any, from: vms, to: vms}\n", ""]
        .map(|first| read(&format!("rules:\n{first}{apart}default: deny\n")));
    let found = diff(&old, &new, &inventory(), now());
    let expected = "
newly intercepted: fin-db, fin-web, hr-1, hr-2 -> fin-db, fin-web, hr-1, hr-2
  tcp, udp, icmp, proto
  before: allow by all
  after:  deny by default at source
  1578948 flows, such as fin-db -> fin-web tcp/1

1578948 flows newly intercepted";
    assert_eq!(found.human().trim(), expected.trim());
}

#[test]
fn the_sources_own_value_is_told_apart_from_values_that_are_named() {
    let [old, new] = ["deny", "reject"].map(|default| {
        read(&format!(
            "rules:
  - {{name: own, pass: any, within: dept, to: vms, from: not dept = a}}
  - {{name: others, deny: any, from: outside | dept = a | not has dept}}
  - {{name: rest, deny: any, to: outside | has dept & dept != a | not has dept}}
default: {default}
"
        ))
    });
    let expected = "
intercepted otherwise: (has dept & dept != a) -> (dept = a), (has dept & dept != a; the source's own dept)
  any
  before: deny by default at source
  after:  reject by default at source
  263654 flows, such as dept=other -> dept=a tcp/1

263654 flows intercepted otherwise";
    assert_eq!(diff_all(&old, &new, now()).unwrap().human().trim(), expected.trim());
}

/// From outside no value that nothing names differs from another: as many flows as back.
#[test]
fn flows_count_alike_in_both_directions() {
    for (more, expected) in [
        ("from: office", 2),
        ("to: office", 2),
        ("from: dept = hr, to: vms", 3),
        ("from: vms, to: dept = hr", 3),
        ("from: dept = hr, to: not has dept", 1),
        ("from: not has dept, to: dept = hr", 1),
        ("from: vms, to: vms", 5),
        ("from: vms, to: vms, within: dept", 1),
    ] {
        let rules = |last: &str| {
            let own = "{name: own, allow: tcp/1, within: dept}";
            read(&format!("groups: {{office: [10.9.0.0/16]}}\nrules:\n  - {own}\n{last}default: deny\n"))
        };
        let new = rules(&format!("  - {{name: more, allow: tcp/443, {more}}}\n"));
        let found = diff_all(&rules(""), &new, now()).unwrap();
        assert_eq!(found.count(), expected, "{more}\n{}", found.human());
    }
}

#[test]
fn rules_that_change_places() {
    let rules = ["a, allow: tcp/1-9", "b, deny: tcp/5-15", "c, reject: tcp/8", "d, allow: udp/1"];
    let ordered = |order: [usize; 4]| {
        let rules: String = order.iter().map(|place| format!("  - {{name: {}}}\n", rules[*place])).collect();
        read(&format!("rules:\n{rules}default: deny\n"))
    };
    let rows: [([usize; 4], &[&str]); 6] = [
        ([0, 1, 3, 2], &[]),
        ([3, 0, 1, 2], &[]),
        ([1, 0, 2, 3], &["newly intercepted tcp/5-9"]),
        ([0, 2, 1, 3], &[]),
        ([2, 0, 1, 3], &["newly intercepted tcp/8"]),
        ([2, 1, 0, 3], &["newly intercepted tcp/5-7, tcp/9", "newly intercepted tcp/8"]),
    ];
    for (order, expected) in rows {
        let found = diff(&ordered([0, 1, 2, 3]), &ordered(order), &inventory(), now());
        let services = |row: &Row| row.services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut told: Vec<String> = found.rows.iter().map(|row| format!("{} {}", row.kind, services(row))).collect();
        told.sort_unstable();
        told.dedup();
        assert_eq!(told, expected, "{order:?}");
    }
}

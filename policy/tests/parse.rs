//! The text form of a policy: what is read, and that nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use policy::{
    Action, At, FlowService, Mode, Name, Outage, Policy, Selector, ServiceMatch, Verdict, parse, parse_selector,
    parse_service, parse_services, render_plain,
};

const DEPARTMENTS: &str = include_str!("../../scenarios/departments.yaml");

fn read(text: &str) -> Policy {
    parse("p.yaml", text).unwrap_or_else(|errors| panic!("{}", render_plain(&errors)))
}

fn groups() -> BTreeMap<Name, Selector> {
    read("eastwest: policy/v1\ngroups: {fin: dept = finance, office: [10.9.0.0/16], both: fin | office}\n").groups
}

#[test]
fn the_example_of_the_design_is_read() {
    let policy = read(DEPARTMENTS);
    let names: Vec<(&str, Action, usize)> =
        policy.rules.iter().map(|rule| (rule.name.as_str(), rule.action, rule.line)).collect();
    assert_eq!(
        names,
        [
            ("no-telnet", Action::Deny, 11),
            ("ledger-app-to-ledger-db", Action::Allow, 13),
            ("hr-reads-no-ledgers", Action::Reject, 17),
            ("each-department-to-itself", Action::Allow, 21),
            ("office-to-web", Action::Allow, 24),
        ]
    );
    assert_eq!(policy.rules[1].from.to_string(), "dept = finance & app = web");
    assert_eq!(policy.rules[3].within.as_deref(), Some("dept"));
    assert_eq!(policy.services[&"web".parse::<Name>().unwrap()].len(), 2);
    assert_eq!((policy.default, policy.mode), (Verdict::Deny, Mode::Enforce));
}

#[test]
fn every_key_of_a_rule_is_read() {
    let policy = read(
        "eastwest: policy/v1
default: reject
rules:
  - {name: a, allow: any, at: destination, log: true, mode: monitor, until: 2027-01-31T18:00:00+01:00, note: 'why: x'}
  - {name: b, deny: [udp/53, icmp], from: vms, to: outside, within: \"a b\"}
",
    );
    let [a, b] = policy.rules.as_slice() else { panic!("two rules") };
    assert_eq!((a.at, a.log, a.mode), (At::Destination, true, Mode::Monitor));
    assert_eq!(a.until.unwrap().to_string(), "2027-01-31T17:00:00Z");
    assert_eq!(a.note.as_deref(), Some("why: x"));
    assert_eq!((&b.from, &b.to, b.within.as_deref()), (&Selector::Vms, &Selector::Outside, Some("a b")));
    assert_eq!(b.services, [ServiceMatch::Ports { tcp: false, first: 53, last: 53 }, ServiceMatch::Icmp(None)]);
    assert_eq!((b.at, b.log, b.mode, b.until), (At::Both, false, Mode::Enforce, None));
    assert_eq!(policy.default, Verdict::Reject);
}

/// `NAME WATCH NUMBER within MS: RESPONSE, from FROM to TO, line LINE`
fn check_detector(text: &str, expected: &str) {
    let policy = read(&format!("eastwest: policy/v1\ngroups: {{fin: dept = finance}}\ndetect:\n  - {text}\n"));
    let [one] = policy.detect.as_slice() else { panic!("one detector") };
    let (word, number, within) = (one.watch.word(), one.watch.threshold(), one.within.as_millis());
    let found =
        format!("{} {word} {number} within {within}: {:?}, from {} to {}", one.name, one.then, one.from, one.to);
    assert_eq!((found.as_str(), one.line), (expected, 4));
}

#[test]
fn detectors_are_read() {
    check_detector(
        "{name: a, scan: {ports: 20, within: 10s}, from: vms, then: alert}",
        "a scan 20 within 10000: Alert, from vms to any",
    );
    check_detector(
        "{name: b, sweep: {within: 100ms, peers: 2}, then: quarantine, for: 10m, to: fin}",
        "b sweep 2 within 100: Quarantine(600s), from any to dept = finance",
    );
    check_detector(
        "{name: c, flood: {connections: 10000, within: 1h}, from: outside, then: intercept, for: 30d}",
        "c flood 10000 within 3600000: Intercept(2592000s), from outside to any",
    );
    check_detector(
        "{name: d, volume: {bytes: 10M, within: 5s}, from: not fin, then: alert}",
        "d volume 10485760 within 5000: Alert, from not dept = finance to any",
    );
}

#[test]
fn a_policy_in_monitor_has_all_its_rules_in_monitor() {
    let policy = read("eastwest: policy/v1\nmode: monitor\nrules:\n  - {name: a, deny: any, mode: enforce}\n");
    assert_eq!((policy.mode, policy.rules[0].mode), (Mode::Monitor, Mode::Monitor));
}

#[test]
fn an_outage_is_read() {
    for (text, expected) in [
        ("keep-last", Outage::KeepLast),
        ("closed", Outage::Closed),
        ("lease 10s", Outage::Lease(10)),
        ("lease  10m", Outage::Lease(600)),
        ("'lease 1h'", Outage::Lease(3600)),
        ("lease 366d", Outage::Lease(366 * 86_400)),
    ] {
        assert_eq!(read(&format!("eastwest: policy/v1\noutage: {text}\n")).outage, expected, "{text}");
    }
    assert_eq!(read("eastwest: policy/v1\n").outage, Outage::KeepLast);
}

#[test]
fn a_policy_without_rules_or_default_denies() {
    let policy = read("eastwest: policy/v1\n");
    assert!(policy.rules.is_empty() && policy.default == Verdict::Deny);
}

#[test]
fn label_values_are_the_text_as_written() {
    let policy =
        read("eastwest: policy/v1\nrules:\n  - {name: a, deny: any, from: env = no, to: v = 1.10 | id = 00123}\n");
    assert_eq!(policy.rules[0].from, Selector::Equals("env".into(), "no".into()));
    assert_eq!(policy.rules[0].to.to_string(), "v = 1.10 | id = 00123");
}

fn check_selector(text: &str, canonical: &str) {
    let selector = parse_selector(text, &groups()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    assert_eq!(selector.to_string(), canonical, "{text}");
    assert_eq!(parse_selector(canonical, &groups()).as_ref(), Ok(&selector), "{canonical}");
}

#[test]
fn selectors_are_read_and_written() {
    check_selector("any", "any");
    check_selector("dept=hr", "dept = hr");
    check_selector("dept!=hr", "dept != hr");
    check_selector("a = b & c = d | e = f", "a = b & c = d | e = f");
    check_selector("a = b & (c = d | e = f)", "a = b & (c = d | e = f)");
    check_selector("(a = b & c = d) & e = f", "(a = b & c = d) & e = f");
    check_selector("not a = b & c = d", "not a = b & c = d");
    check_selector("not (a = b & c = d)", "not (a = b & c = d)");
    check_selector("not not a = b", "not not a = b");
    check_selector("((a = b))", "a = b");
    check_selector("k in (a,b , \"c d\")", "k in (a, b, \"c d\")");
    check_selector("k in (a)", "k in (a)");
    check_selector("has k & vms", "has k & vms");
    check_selector("has \"my key\"", "has \"my key\"");
    check_selector("k = \"\"", "k = \"\"");
    check_selector("\"k\" = \"v\"", "k = v");
    check_selector("app.kubernetes.io/name = x:1", "app.kubernetes.io/name = x:1");
    check_selector("fin", "dept = finance");
    check_selector("not fin & not outside", "not dept = finance & not outside");
    check_selector("office | fin", "office | dept = finance");
    check_selector("both", "dept = finance | office");
    check_selector("k = not", "k = \"not\"");
    check_selector("not = 1", "\"not\" = 1");
    check_selector("in = 1", "\"in\" = 1");
    check_selector("any = fin", "any = fin");
}

fn check_bad_selector(text: &str, place: &str, says: &str) {
    let errors = parse_selector(text, &groups()).expect_err(text);
    let found: Vec<&str> = errors.iter().map(|error| &text[error.range.clone()]).collect();
    assert!(found.contains(&place), "{text}: {errors:?}");
    assert!(errors.iter().any(|error| error.to_string().contains(says)), "{text}: {errors:?}");
}

#[test]
fn wrong_selectors_point_at_what_is_wrong() {
    check_bad_selector("", "", "expected a selector");
    check_bad_selector("dept =", "", "expected a value");
    check_bad_selector("dept = hr app = db", "app", "ends before this");
    check_bad_selector("dept = hr and app = db", "and", "`and` is written `&`");
    check_bad_selector("dept = hr or app = db", "or", "`or` is written `|`");
    check_bad_selector("dept == hr", "==", "`==` is written `=`");
    check_bad_selector("a = b && c = d", "&&", "`&&` is written `&`");
    check_bad_selector("a = b || c = d", "||", "`||` is written `|`");
    check_bad_selector("!a", "!", "write `not`");
    check_bad_selector("dept = h*", "*", "globs");
    check_bad_selector("dept = \"hr", "\"hr", "do not end");
    check_bad_selector("dept = é", "é", "double quotes");
    check_bad_selector("(a = b", "", "expected `)`");
    check_bad_selector("a = b)", ")", "ends before this");
    check_bad_selector("k in a", "a", "after `in`");
    check_bad_selector("k in ()", ")", "expected a value");
    check_bad_selector("k in (a b)", "b", "`,` or `)`");
    check_bad_selector("in (a)", "in", "needs a key");
    check_bad_selector("\"\" = a", "\"\"", "may not be empty");
    check_bad_selector("\"fin\"", "\"fin\"", "quoted text alone");
    check_bad_selector("fim", "fim", "did you mean `fin`?");
    check_bad_selector("fim | offfice", "offfice", "did you mean `office`?");
    check_bad_selector("dept:hr", "dept:hr", "`dept = hr`");
    check_bad_selector("10.9.0.0/16", "10.9.0.0/16", "may not stand in a selector");
    check_bad_selector("not office", "office", "group of addresses");
    check_bad_selector("a = b & office", "office", "group of addresses");
    check_bad_selector("a = b & (fin | both)", "(fin | both)", "group of addresses");
    check_bad_selector(&"not ".repeat(100), "not", "nested deeper");
    check_bad_selector(&"(".repeat(10_000), "(", "nested deeper");
}

fn check_service(text: &str, canonical: &str) {
    assert_eq!(parse_service(text).map(|service| service.to_string()).as_deref(), Ok(canonical), "{text}");
}

#[test]
fn services_are_read_and_written() {
    check_service("any", "any");
    check_service("tcp", "tcp");
    check_service("tcp/0-65535", "tcp");
    check_service("udp/53", "udp/53");
    check_service("tcp/8000-8100", "tcp/8000-8100");
    check_service("tcp/80-80", "tcp/80");
    check_service("icmp", "icmp");
    check_service("icmp/8", "icmp/echo-request");
    check_service("icmp/echo-request", "icmp/echo-request");
    check_service("icmp/128", "icmp/128");
    check_service("icmpv6/echo-request", "icmpv6/echo-request");
    check_service("icmpv6/8", "icmpv6/8");
    check_service("proto/47", "proto/47");
}

fn check_bad_service(text: &str, place: &str, says: &str) {
    let error = parse_service(text).expect_err(text);
    assert_eq!(&text[error.range.clone()], place, "{text}: {error}");
    assert!(error.to_string().contains(says), "{text}: {error}");
}

#[test]
fn wrong_services_point_at_what_is_wrong() {
    check_bad_service("tcp/65536", "65536", "0 to 65535");
    check_bad_service("tcp/-1", "", "0 to 65535");
    check_bad_service("tcp/+1", "+1", "0 to 65535");
    check_bad_service("tcp/", "", "0 to 65535");
    check_bad_service("tcp/90-80", "90-80", "write 80-90");
    check_bad_service("tcp/80-", "", "0 to 65535");
    check_bad_service("tpc/80", "tpc", "did you mean `tcp`?");
    check_bad_service("TCP/80", "TCP", "did you mean `tcp`?");
    check_bad_service("icmp/256", "256", "0 to 255");
    check_bad_service("icmp/echo-reqest", "echo-reqest", "did you mean `echo-request`?");
    check_bad_service("icmp/echo-reply", "echo-reply", "begins no flow");
    check_bad_service("proto/6", "6", "write `tcp`");
    check_bad_service("proto/1", "1", "write `icmp`");
    check_bad_service("proto/17", "17", "write `udp`");
    check_bad_service("proto/58", "58", "write `icmpv6`");
    check_bad_service("proto/gre", "gre", "0 to 255");
    check_bad_service("proto", "proto", "needs a number");
    check_bad_service("443", "443", "there is no service");
    check_bad_service("any/80", "any", "there is no protocol");
    check_bad_service("tcp/80, tcp/443", "tcp/80, tcp/443", "several services are a list");
}

#[test]
fn a_list_of_services_takes_names() {
    let named = read(DEPARTMENTS).services;
    let all: Vec<String> = parse_services("web, udp/53", &named).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["tcp/80", "tcp/443", "udp/53"]);
    let error = parse_services("tcp/80, wed", &named).unwrap_err();
    assert_eq!((error.range.clone(), error.to_string().contains("did you mean `web`?")), (8..11, true), "{error}");
}

#[test]
fn a_flow_asks_for_one_thing() {
    for text in ["tcp/443", "udp/0", "icmp/echo-request", "icmp/9", "icmpv6/echo-request", "proto/47"] {
        assert_eq!(text.parse::<FlowService>().unwrap().to_string(), text);
    }
    for text in ["any", "tcp", "tcp/1-2", "icmp", "icmpv6", "proto/6", ""] {
        assert!(text.parse::<FlowService>().is_err(), "{text}");
    }
}

#[test]
fn definitions_refer_to_one_another_in_any_order() {
    let policy = read(
        "eastwest: policy/v1
services: {all: [web, ping], web: tcp/80, ping: icmp}
groups: {a: b & c, b: dept = x, c: 'env in (p, q)'}
rules: [{name: r, allow: all, from: a}]
",
    );
    assert_eq!(policy.rules[0].services.len(), 2);
    assert_eq!(policy.rules[0].from.to_string(), "dept = x & env in (p, q)");
}

#[test]
fn groups_do_not_explode() {
    let mut text = "eastwest: policy/v1\ngroups:\n  g0: a = b\n".to_owned();
    for level in 1..40 {
        let before = level - 1;
        text.push_str(&format!("  g{level}: g{before} | g{before}\n"));
    }
    let errors = render_plain(&parse("p", &text).unwrap_err());
    assert!(errors.contains("more than 5000 terms"), "{errors}");
}

#[test]
fn ten_thousand_rules_are_read_with_their_lines() {
    let rules: String =
        (0..10_000).map(|i| format!("  - name: r{i}\n    allow: tcp/{i}\n    from: app = a{i} | g\n")).collect();
    let policy = read(&format!("eastwest: policy/v1\ngroups: {{g: dept = hr}}\nrules:\n{rules}"));
    assert_eq!(policy.rules[9_999].line, 4 + 3 * 9_999);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_no_harm() {
    let policy = read("\u{feff}eastwest: policy/v1\r\nrules:\r\n  - name: a\r\n    deny: tcp/23\r\n");
    assert_eq!((policy.rules[0].name.as_str(), policy.rules[0].line), ("a", 3));
}

#[test]
fn errors_are_diagnostics_with_places() {
    let errors = parse("p.yaml", "eastwest: policy/v1\nrulez: []\ndefault: drop\n").unwrap_err();
    assert_eq!(errors.to_string(), "p.yaml has 2 mistakes");
    let report = miette::Report::new(errors);
    let related: Vec<_> = report.related().unwrap().collect();
    let places: Vec<usize> = related.iter().map(|one| one.labels().unwrap().next().unwrap().offset()).collect();
    assert_eq!(places, [20, 39]);
    assert!(related.iter().all(|one| one.source_code().is_some()));
}

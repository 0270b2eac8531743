//! One line for each verdict, with near misses; the kernel's maps are read by the smallest interpreter.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod views;

use agent_core::{Numbering, compile};
use policy::{Action, FlowService, Mode, ServiceMatch};
use views::{ANY, FINANCE, HR, OFFICE, rule, tcp, told, udp, view};
use wire::{View, ViewRule};

/// `in PEER SERVICE: COMMENT`, one a line.
fn check(view: &View, now: Option<i64>, expected: &str) {
    let program = compile(view, now, &mut Numbering::default()).unwrap();
    let rows: Vec<&str> = expected.lines().map(str::trim).filter(|row| !row.is_empty()).collect();
    let seen: Vec<String> = rows
        .iter()
        .map(|row| {
            let flow = row.rsplit_once(": ").unwrap().0;
            let words: Vec<&str> = flow.split_whitespace().collect();
            let told = told(&program, words[0] == "in", words[1].parse().unwrap(), service(words[2]));
            format!("{flow}: {told}")
        })
        .collect();
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(seen, rows);
}

fn service(text: &str) -> FlowService {
    let (protocol, number) = text.split_once('/').unwrap();
    match protocol {
        "tcp" => FlowService::Tcp(number.parse().unwrap()),
        "udp" => FlowService::Udp(number.parse().unwrap()),
        "icmp" => FlowService::Icmp(number.parse().unwrap()),
        "icmpv6" => FlowService::Icmpv6(number.parse().unwrap()),
        _ => FlowService::Proto(number.parse().unwrap()),
    }
}

fn with(rules: Vec<ViewRule>) -> View {
    View { rules, ..view() }
}

#[test]
fn the_first_match_decides() {
    let view = with(vec![
        rule("no-telnet", Action::Deny, &[tcp(23, 23)], ANY),
        rule("hr", Action::Allow, &[ServiceMatch::Any], HR),
        ViewRule { inbound: None, ..rule("ledgers", Action::Reject, &[tcp(5432, 5440)], FINANCE) },
        rule("ping", Action::Allow, &[ServiceMatch::Icmp(Some(8)), ServiceMatch::Icmpv6(Some(128))], ANY),
    ]);
    check(
        &view,
        Some(0),
        "in 10.98.0.2 tcp/22: allow hr
         in 10.98.0.2 tcp/23: deny no-telnet
         out fd98::2 tcp/23: deny no-telnet
         in 10.98.0.2 tcp/24: allow hr
         in 10.98.0.2 udp/23: allow hr
         in 10.98.0.2 proto/47: allow hr
         in 10.98.0.3 proto/47: deny default
         out 10.98.0.3 tcp/5431: deny default
         out 10.98.0.3 tcp/5432: reject ledgers
         out fd98::3 tcp/5440: reject ledgers
         out 10.98.0.3 tcp/5441: deny default
         in 10.98.0.3 tcp/5432: deny default
         in 10.98.0.3 icmp/8: allow ping
         in 10.98.0.3 icmp/9: deny default
         in fd98::3 icmpv6/128: allow ping
         in fd98::3 icmpv6/8: deny default
         in 8.8.8.8 icmp/8: allow ping
         in 8.8.8.8 icmp/7: deny default",
    );
}

#[test]
fn an_address_is_who_it_is() {
    let view =
        with(vec![rule("office", Action::Allow, &[udp(53)], OFFICE), rule("all", Action::Allow, &[tcp(80, 80)], ANY)]);
    check(
        &view,
        Some(0),
        "in 10.98.0.2 tcp/80: allow all
         in 10.98.0.9 tcp/80: deny eastwest/unknown
         out 10.98.0.9 tcp/80: deny eastwest/unknown
         in fd98::9 tcp/80: deny eastwest/unknown
         in 10.97.255.255 tcp/80: allow all
         in 10.99.0.0 tcp/80: allow all
         in fd98:0:0:ffff:ffff:ffff:ffff:ffff tcp/80: deny eastwest/unknown
         in fd98:0:1:: tcp/80: allow all
         in fe80::1 tcp/80: deny eastwest/link-local
         in febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff tcp/80: deny eastwest/link-local
         in fec0:: tcp/80: allow all
         in 169.254.0.0 tcp/80: deny eastwest/link-local
         in 169.255.0.0 tcp/80: allow all
         out 224.0.0.251 tcp/80: allow all
         out 255.255.255.255 udp/53: deny default
         out ff02::fb tcp/80: allow all
         in 10.9.0.0 udp/53: allow office
         in 10.8.255.255 udp/53: deny default
         in 10.9.2.255 udp/53: allow office
         in 10.9.3.0 udp/53: deny default
         in 10.9.3.127 udp/53: deny default
         in 10.9.3.128 udp/53: allow office
         in 10.9.3.255 udp/53: allow office
         in 10.9.4.0 udp/53: allow office
         in 10.9.255.255 udp/53: allow office
         in 10.10.0.0 udp/53: deny default
         in 2001:db8:9:: udp/53: allow office
         in 2001:db8:a:: udp/53: deny default
         in 10.98.0.2 udp/53: deny default
         in 0.0.0.0 tcp/80: allow all
         in ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff tcp/80: allow all",
    );
}

#[test]
fn a_monitor_rule_is_told_and_does_not_act() {
    let monitor = |rule| ViewRule { mode: Mode::Monitor, ..rule };
    let view = with(vec![
        monitor(rule("try", Action::Deny, &[tcp(80, 80)], HR)),
        rule("web", Action::Allow, &[tcp(80, 81)], ANY),
        monitor(rule("late", Action::Allow, &[tcp(80, 90)], ANY)),
    ]);
    let expected = "in 10.98.0.2 tcp/80: allow web would deny try
         in 10.98.0.2 tcp/81: allow web
         in 10.98.0.2 tcp/82: deny default would allow late
         in 10.98.0.3 tcp/80: allow web
         in 10.98.0.3 tcp/91: deny default";
    check(&view, Some(0), expected);
    let rules = view.rules.iter().cloned().map(monitor).collect();
    let view = View { mode: Mode::Monitor, rules, ..view };
    let expected = "in 10.98.0.2 tcp/80: allow eastwest/monitor would deny try
         in 10.98.0.2 tcp/81: allow eastwest/monitor would allow web
         in 10.98.0.2 tcp/91: allow eastwest/monitor would deny default
         in 10.98.0.9 tcp/91: deny eastwest/unknown";
    check(&view, Some(0), expected);
    let view = View { quarantined: true, ..view };
    let expected = "in 10.98.0.2 tcp/80: deny eastwest/quarantine
         in 10.98.0.9 tcp/80: deny eastwest/quarantine
         in fe80::1 tcp/80: deny eastwest/quarantine
         out 8.8.8.8 udp/1: deny eastwest/quarantine";
    check(&view, Some(0), expected);
}

#[test]
fn a_rule_ends_at_its_instant() {
    let until = |at, rule| ViewRule { until: Some(at), ..rule };
    let view = with(vec![
        until(500, rule("guest", Action::Allow, &[tcp(80, 80)], ANY)),
        until(700, rule("freeze", Action::Reject, &[tcp(80, 81)], ANY)),
        rule("web", Action::Allow, &[tcp(80, 81)], ANY),
    ]);
    let rows: [(Option<i64>, &str, &str); 5] = [
        (Some(499), "allow guest", "reject freeze"),
        (Some(500), "reject freeze", "reject freeze"),
        (Some(699), "reject freeze", "reject freeze"),
        (Some(700), "allow web", "allow web"),
        (None, "reject freeze", "reject freeze"),
    ];
    for (now, first, second) in rows {
        check(&view, now, &format!("in 10.98.0.2 tcp/80: {first}\nin 10.98.0.2 tcp/81: {second}"));
    }
    let changes: Vec<_> = [499, 500, 699, 700].into_iter().map(|now| agent_core::next_change(&view, now)).collect();
    assert_eq!(changes, [Some(500), Some(700), Some(700), None]);
}

/// Each rule tells another group and another port apart: what is held are the pairs that they name, not all that there
/// could be.
#[test]
fn thousands_of_rules_on_as_many_classes_cost_what_they_name() {
    const RULES: u16 = 5_000;
    let group = |n: u16| policy::AddressGroup {
        name: format!("g{n}").parse().unwrap(),
        includes: vec![format!("10.200.{}.{}/32", n / 250, n % 250).parse().unwrap()],
        excludes: Vec::new(),
    };
    let set = |n| wire::Set { vms: Vec::new(), outside: wire::Outside::Groups(vec![group(n).into()]) };
    let one = |n: u16| rule(&format!("r{n}"), Action::Allow, &[tcp(n, n)], n.into());
    let big = wire::View { sets: (0..RULES).map(set).collect(), rules: (0..RULES).map(one).collect(), ..view() };
    let program = agent_core::compile(&big, None, &mut Numbering::default()).unwrap();
    let of = |n: u16, port| {
        let peer = format!("10.200.{}.{}", n / 250, n % 250).parse().unwrap();
        told(&program, true, peer, policy::FlowService::Tcp(port))
    };
    assert_eq!((of(7, 7), of(4_999, 4_999)), ("allow r7".to_owned(), "allow r4999".to_owned()));
    assert_eq!((of(7, 8), of(8, 7)), ("deny default".to_owned(), "deny default".to_owned()));
    assert!(program.ruleset.inbound.len() < 4 * usize::from(RULES), "{}", program.ruleset.inbound.len());
}

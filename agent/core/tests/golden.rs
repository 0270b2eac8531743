//! Whole rulesets as text: what the kernel holds for ten views.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod views;

use agent_core::{Numbering, closed, compile, render};
use policy::{Action, Mode, ServiceMatch, Verdict};
use views::{ANY, FINANCE, HR, OFFICE, rule, tcp, udp, view};
use wire::{View, ViewRule};

fn check(name: &str, view: &View) {
    let program = compile(view, Some(0), &mut Numbering::default()).unwrap();
    insta::assert_snapshot!(name, render(&program));
}

fn with(rules: Vec<ViewRule>) -> View {
    View { rules, ..view() }
}

fn web() -> ViewRule {
    rule("web", Action::Allow, &[tcp(80, 80), tcp(443, 443)], ANY)
}

#[test]
fn ten_views_as_text() {
    check("no-rule", &with(vec![]));
    check(
        "default-allow",
        &View { default: Verdict::Allow, ..with(vec![rule("no-telnet", Action::Deny, &[tcp(23, 23)], ANY)]) },
    );
    check("one-allow", &with(vec![web()]));
    check("recorded", &View { record_all: true, ..with(vec![web()]) });
    check(
        "departments",
        &with(vec![
            rule("no-telnet", Action::Deny, &[tcp(23, 23)], ANY),
            ViewRule { inbound: None, ..rule("hr-reads-no-ledgers", Action::Reject, &[ServiceMatch::Any], FINANCE) },
            rule("each-department-to-itself", Action::Allow, &[ServiceMatch::Any], HR),
        ]),
    );
    check(
        "office",
        &with(vec![
            rule("office-to-web", Action::Allow, &[tcp(80, 80)], OFFICE),
            ViewRule { outbound: None, log: true, ..rule("dns", Action::Allow, &[udp(53), tcp(53, 53)], ANY) },
        ]),
    );
    check(
        "ping-and-tunnels",
        &with(vec![
            rule("ping", Action::Allow, &[ServiceMatch::Icmp(Some(8)), ServiceMatch::Icmpv6(Some(128))], HR),
            rule("gre", Action::Allow, &[ServiceMatch::Proto(47)], FINANCE),
        ]),
    );
    check(
        "a-monitor-rule",
        &with(vec![ViewRule { mode: Mode::Monitor, ..rule("try", Action::Deny, &[tcp(80, 80)], HR) }, web()]),
    );
    check(
        "a-policy-in-monitor",
        &View { mode: Mode::Monitor, ..with(vec![ViewRule { mode: Mode::Monitor, ..web() }]) },
    );
    check("quarantined", &View { quarantined: true, ..with(vec![web()]) });
}

#[test]
fn closed_as_text() {
    let program = closed(Some("10.98.255.254:7440".parse().unwrap()), &mut Numbering::default()).unwrap();
    insta::assert_snapshot!("closed", render(&program));
}

#[test]
fn who_is_shut_off_renews_no_address() {
    let open = View { dhcp: true, ..with(vec![web()]) };
    let dhcp = |view: &View| compile(view, Some(0), &mut Numbering::default()).unwrap().ruleset.dhcp;
    for (view, may) in [
        (view(), false),
        (open.clone(), true),
        (View { mode: Mode::Monitor, ..open.clone() }, true),
        (View { quarantined: true, ..open }, false),
    ] {
        assert_eq!(dhcp(&view), may, "{view:?}");
    }
    assert!(!closed(None, &mut Numbering::default()).unwrap().ruleset.dhcp);
}

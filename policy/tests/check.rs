//! What `check` doubts, and what lies beside it and is fine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use policy::{Bundle, Inventory, Mode, Source, Timestamp, Vm, render_plain};

const NOW: &str = "2026-11-24T12:00:00Z";

fn inventory() -> Inventory {
    let vm = |labels: &[(&str, &str)], address: &str, managed| Vm {
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        addresses: vec![address.parse().unwrap()],
        managed,
        quarantined: false,
        dhcp: false,
        mode: Mode::Enforce,
    };
    let vms = [
        ("web", vm(&[("app", "web")], "10.98.0.1", true)),
        ("db", vm(&[("app", "db")], "10.98.0.2", true)),
        ("old", vm(&[("app", "old")], "10.9.0.7", false)),
    ];
    Inventory { managed: vec![], vms: vms.into_iter().map(|(name, vm)| (name.parse().unwrap(), vm)).collect() }
}

fn tiers(tiers: &[(&str, String)], inventory: Option<&Inventory>) -> Vec<String> {
    let source = |(name, text): &(&str, String)| Source { name: (*name).to_owned(), text: text.clone() };
    let bundle = Bundle { tiers: tiers.iter().map(source).collect(), included: vec![] };
    let policy = bundle.policy().unwrap_or_else(|errors| panic!("{}", render_plain(&errors)));
    let now: Timestamp = NOW.parse().unwrap();
    let checked = policy::check(&policy, inventory, now);
    let left_out = checked.left_out.into_iter().map(|text| format!("left out: {text}"));
    checked.warnings.iter().map(ToString::to_string).chain(left_out).collect()
}

fn check(policy: &str, expected: &[&str], expected_blind: &[&str]) {
    let text = format!("eastwest: policy/v1\n{policy}");
    let told = |inventory: Option<&Inventory>| tiers(&[("p.yaml", text.clone())], inventory);
    assert_eq!(told(Some(&inventory())), expected, "{text}");
    assert_eq!(told(None), expected_blind, "without an inventory:\n{text}");
}

/// Without an inventory alone.
fn blind(rules: &str, expected: &[&str]) {
    let text = format!("eastwest: policy/v1\nrules:\n{rules}");
    assert_eq!(tiers(&[("p.yaml", text.clone())], None), expected, "{text}");
}

fn rule(rule: &str, expected: &[&str], expected_blind: &[&str]) {
    check(&format!("groups: {{office: [10.8.0.0/16]}}\nrules:\n- {rule}\n"), expected, expected_blind);
}

#[test]
fn a_rule_that_no_flow_matches() {
    let nobody = "never-matching: r (line 4): its `from` matches no VM of the inventory";
    let none = "never-matching: r (line 4): its `to` matches no VM of the inventory";
    rule("{name: r, allow: any, from: app = web, to: app = db}", &[], &[]);
    rule("{name: r, allow: any, from: app = wed}", &[nobody], &[]);
    rule(
        "{name: r, allow: any, to: app = web & app = db}",
        &[none],
        &["never-matching: r (line 4): its `to` can match no VM"],
    );
    rule(
        "{name: r, allow: any, from: not vms}",
        &[nobody],
        &["never-matching: r (line 4): its `from` can match no VM"],
    );
    rule("{name: r, allow: any, from: app = wed | office}", &[], &[]);
    rule("{name: r, allow: any, from: office, to: any}", &[], &[]);
    let within =
        "never-matching: r (line 4): its `within` names the label `dept`, which no VM of the inventory carries";
    rule("{name: r, allow: any, within: dept}", &[within], &[]);
    rule(
        "{name: r, allow: any, within: app}",
        &["never-matching: r (line 4): no flow of the inventory matches it"],
        &[],
    );
    rule(
        "{name: r, allow: any, from: app = web, within: app}",
        &["never-matching: r (line 4): no flow of the inventory matches it"],
        &[],
    );
    let never = "never-matching: r (line 4): no flow can match it";
    rule(
        "{name: r, allow: any, from: app = web, to: app = db, within: app}",
        &["never-matching: r (line 4): no flow of the inventory matches it"],
        &[never],
    );
    rule("{name: r, allow: any, from: has app, to: app = db, within: dept}", &[within], &[]);
    rule("{name: r, allow: any, from: not has dept, within: dept}", &[within], &[never]);
}

#[test]
fn a_rule_that_has_ended() {
    let told = "expired: r (line 4): its `until` is past: it does nothing";
    rule(&format!("{{name: r, deny: tcp/1, until: '{NOW}'}}"), &[told], &[told]);
    rule("{name: r, deny: tcp/1, until: '2026-11-24T12:00:01Z'}", &[], &[]);
}

#[test]
fn an_allow_that_the_other_end_undoes() {
    let at = |end: &str, flow: &str| {
        format!(
            "undone: r (line 4): nothing of what it allows passes: the default denies it at the {end}; such as {flow}"
        )
    };
    let any = "a VM without labels -> a VM without labels tcp/443";
    rule(
        "{name: r, allow: any, at: source, to: has app}",
        &[],
        &[&at("destination", "a VM without labels -> app=other tcp/443")],
    );
    rule("{name: r, allow: any, at: destination, from: vms}", &[], &[&at("source", any)]);
    rule(
        "{name: r, allow: any, at: destination, from: app = web, to: app = db}",
        &[&at("source", "web -> db tcp/443")],
        &[&at("source", "app=web -> app=db tcp/443")],
    );
    rule(
        "{name: r, allow: any, at: source, from: office, to: app = db}",
        &[&at("destination", "office (10.8.0.1) -> db tcp/443")],
        &[&at("destination", "office (10.8.0.1) -> app=db tcp/443")],
    );
    rule("{name: r, allow: any, at: source, to: outside}", &[], &[]);
    rule(
        "{name: r, allow: any, at: source, to: app = old}",
        &[],
        &[&at("destination", "a VM without labels -> app=old tcp/443")],
    );
    rule("{name: r, deny: any, at: source}", &[], &[]);
    check("default: allow\nrules:\n- {name: r, allow: tcp/1, at: source, to: vms}\n", &[], &[]);
    let pair =
        |service| format!("- {{name: r, allow: tcp/80-90, at: source, to: vms}}\n- {{name: s, allow: {service}}}\n");
    blind(&pair("tcp/90"), &[]);
    let undone = "undone: r (line 3): nothing of what it allows passes: the default denies it at the destination; such as a VM without labels -> a VM without labels tcp/80";
    blind(&pair("tcp/91"), &[undone]);
    blind(&pair("udp/80"), &[undone]);
    let denied =
        "- {name: s, deny: tcp/80-99, to: app = db, at: destination}\n- {name: r, allow: tcp/80, to: app = db}\n";
    blind(
        denied,
        &[
            "undone: r (line 4): nothing of what it allows passes: s (line 3) denies it at the destination; such as a VM without labels -> app=db tcp/80",
        ],
    );
}

#[test]
fn a_deny_that_nobody_enforces() {
    let nowhere = |flow: &str| {
        format!("unenforced: r (line 4): no agent enforces it: none stands at an end where it holds; such as {flow}")
    };
    let out = "office (10.8.0.1) -> 192.0.2.1 tcp/443";
    rule("{name: r, deny: any, from: office, to: outside}", &[&nowhere(out)], &[&nowhere(out)]);
    rule("{name: r, reject: any, from: office, to: app = old}", &[&nowhere("office (10.8.0.1) -> old tcp/443")], &[]);
    rule("{name: r, reject: any, from: office, to: app = db}", &[], &[]);
    rule("{name: r, deny: any, from: app = old, at: source}", &[&nowhere("old -> db tcp/443")], &[]);
    rule("{name: r, deny: any, from: app = old}", &[], &[]);
    rule("{name: r, allow: any, from: office, to: outside}", &[], &[]);
}

#[test]
fn a_rule_that_no_flow_reaches() {
    let same = "- {name: a, deny: tcp/1-9}\n- {name: b, allow: tcp/5}\n- {name: c, allow: tcp/9-10}\n";
    blind(
        same,
        &[
            "shadowed: b (line 4): no flow reaches it: a (line 3) decides all of its flows before; such as a VM without labels -> a VM without labels tcp/5",
        ],
    );
    let two = "- {name: a, allow: tcp/1-9, from: app = web}\n- {name: b, deny: any, from: app != web | outside}\n- {name: c, allow: tcp/5}\n";
    blind(
        two,
        &[
            "shadowed: c (line 5): no flow reaches it: a (line 3), b (line 4) decide all of its flows before; such as a VM without labels -> a VM without labels tcp/5",
        ],
    );
    blind("- {name: a, deny: tcp/1-9}\n- {name: b, allow: tcp/9-10}\n", &[]);
    blind("- {name: a, reject: tcp/5, at: source, to: vms}\n- {name: b, deny: tcp/5}\n", &[]);
    blind("- {name: a, deny: tcp/5, mode: monitor}\n- {name: b, allow: tcp/5}\n", &[]);
    blind("- {name: a, deny: any}\n- {name: b, deny: any}\n", &[]);
    blind(
        "- {name: a, deny: any, from: 'app in (x, y)'}\n- {name: b, allow: any, from: app = x}\n",
        &[
            "shadowed: b (line 4): no flow reaches it: a (line 3) decides all of its flows before; such as app=x -> a VM without labels tcp/443",
        ],
    );
}

#[test]
fn a_rule_without_which_nothing_changes() {
    let told = |by: &str, flow: &str| {
        format!(
            "redundant: a (line 3): it changes nothing: without it {by} gives all of its flows the same verdict; such as {flow}"
        )
    };
    let flow = "a VM without labels -> a VM without labels tcp/5";
    blind("- {name: a, allow: tcp/5}\n- {name: b, allow: tcp/1-9}\n", &[&told("b (line 4)", flow)]);
    blind("- {name: a, allow: tcp/5, log: true}\n- {name: b, allow: tcp/1-9}\n", &[]);
    blind("- {name: a, reject: tcp/5}\n- {name: b, deny: tcp/1-9}\n", &[]);
    let hidden = "shadowed: b (line 4): no flow reaches it: a (line 3) decides all of its flows before; such as app=x -> a VM without labels tcp/5";
    blind(
        "- {name: a, allow: tcp/5}\n- {name: b, deny: tcp/5, from: app = x}\n- {name: c, allow: tcp/1-9}\n",
        &[hidden],
    );
    blind("- {name: a, allow: tcp/5}\n- {name: b, allow: tcp/5, from: app = x}\n", &[hidden]);
    blind("- {name: a, allow: tcp/5}\n- {name: b, allow: tcp/1-9, until: '2027-01-01T00:00:00Z'}\n", &[]);
    // A deny before the default says who denies, and stands against allows to come.
    blind("- {name: a, deny: tcp/5}\n- {name: b, allow: udp}\n", &[]);
    blind("- {name: a, deny: tcp/5}\n- {name: b, deny: any}\n", &[]);
}

#[test]
fn rules_that_contradict_one_another() {
    let told = "contradictory: b (line 4): a (line 3) comes first and allows a part of what it denies; such as app=web -> app=db tcp/443";
    blind("- {name: a, allow: tcp/443, from: app = web}\n- {name: b, deny: any, to: app = db}\n", &[told]);
    // An exception, and a guard, before what they are about.
    blind("- {name: a, allow: tcp/443, from: app = web, to: app = db}\n- {name: b, deny: any, to: app = db}\n", &[]);
    blind("- {name: b, deny: any, to: app = db}\n- {name: a, allow: tcp/443, from: app = web}\n", &[]);
    blind(
        "- {name: a, allow: tcp/1-5}\n- {name: b, reject: tcp/5-9}\n- {name: c, deny: udp/1}\n",
        &[
            "contradictory: b (line 4): a (line 3) comes first and allows a part of what it rejects; such as a VM without labels -> a VM without labels tcp/5",
        ],
    );
}

#[test]
fn ends_that_disagree() {
    let rules = "- {name: a, allow: tcp/22, from: app = web, at: source}\n- {name: b, deny: tcp/22, to: app = db}\n- {name: c, allow: tcp/22}\n";
    blind(
        rules,
        &[
            "disagreeing: a (line 3): it allows at the source what b (line 4) denies at the destination; such as app=web -> app=db tcp/22",
            "contradictory: b (line 4): a (line 3) comes first and allows a part of what it denies; such as app=web -> app=db tcp/22",
        ],
    );
    // Where the order has decided, nobody disagrees.
    blind("- {name: b, deny: tcp/22, to: app = db, at: destination}\n- {name: a, allow: tcp/22}\n", &[]);
}

#[test]
fn tiers_and_their_owners() {
    let file = |rules: &str| format!("eastwest: policy/v1\n{rules}");
    let hr = file("tier: hr\nowns: dept = hr\nrules:\n- {name: out, allow: tcp/443, from: dept = hr}\n");
    let finance = file(
        "tier: finance\nowns: dept = finance\nrules:\n- {name: shut, deny: tcp/443, from: dept = hr, to: dept = finance}\n- {name: rest, pass: any}\n",
    );
    let base = file("tier: base\nrules:\n- {name: all, allow: tcp/443}\n");
    let told = tiers(&[("hr.yaml", hr.clone()), ("finance.yaml", finance), ("base.yaml", base.clone())], None);
    let disagree = "disagreeing: hr/out (line 5): it allows at the source what finance/shut (finance.yaml:5) denies at the destination; such as dept=hr -> dept=finance tcp/443";
    assert_eq!(told, [disagree]);
    let urgent = file(
        "tier: urgent\nrules:\n- {name: stop, deny: any, to: dept = hr}\n- {name: go, pass: tcp/443, to: dept = hr}\n",
    );
    let told = tiers(&[("urgent.yaml", urgent), ("base.yaml", base)], None);
    assert_eq!(
        told,
        [
            "shadowed: urgent/go (line 5): no flow reaches it: urgent/stop (urgent.yaml:4) decides all of its flows before; such as a VM without labels -> dept=hr tcp/443"
        ]
    );
}

#[test]
fn a_vm_in_a_group_of_addresses() {
    let told = "not-by-address: seats: this group holds 10.9.0.7 of the VM old, but a VM matches by its labels alone";
    check("groups: {seats: [10.9.0.0/16]}\n", &[told], &[]);
    check("groups: {seats: [10.9.0.0/16, not 10.9.0.7]}\n", &[], &[]);
    check("groups: {seats: app = wed}\n", &["never-matching: seats: this group matches no VM of the inventory"], &[]);
}

#[test]
fn a_detector_that_watches_nobody() {
    let detector = |ends: &str| format!("detect:\n- {{name: d, scan: {{ports: 9, within: 1s}}, then: alert{ends}}}\n");
    check(&detector(""), &[], &[]);
    check(&detector(", from: outside, to: app = db"), &[], &[]);
    check(
        &detector(", from: app = wed"),
        &["never-matching: d (line 3): its `from` matches no VM of the inventory"],
        &[],
    );
    check(&detector(", to: app = bd"), &["never-matching: d (line 3): its `to` matches no VM of the inventory"], &[]);
}

fn claims(tests: &str, expected: &[&str], expected_blind: &[&str]) {
    let rules = "- {name: web, allow: tcp/443, to: app = web}\n- {name: trial, reject: tcp/22, to: app = db, mode: monitor}\n- {name: ssh, allow: tcp/22}\n- {name: shut, reject: udp, to: app = db, at: destination}\n- {name: dns, allow: udp/53}\n";
    check(
        &format!("groups: {{office: [10.8.0.0/16]}}\nrules:\n{rules}tests:\n- \"{tests}\"\n"),
        expected,
        expected_blind,
    );
}

#[test]
fn claims_are_held_against_the_policy() {
    let fails = |claim: &str, text: &str| format!("failed: {claim} (line 10): {text}");
    for holds in [
        "app = db -> app = web tcp/443: allow",
        "app = db -> app = web tcp/443: allow by web",
        "app = db -> app = web tcp/443: allow by web at source",
        "office -> app = web tcp/443: allow by web",
        "any -> app = db tcp/443: deny by default",
        "app = web -> app = db udp/53: reject by shut at destination",
        "app = web -> app = db udp/54: deny by default at source",
        "office -> app = old any: allow",
    ] {
        let blind = if holds.contains("old") {
            fails(holds, "office (10.8.0.1) -> app=old tcp/443 gets deny by default at the destination")
        } else {
            String::new()
        };
        let blind: Vec<&str> = [blind.as_str()].into_iter().filter(|text| !text.is_empty()).collect();
        claims(holds, &[], &blind);
    }
    for (claim, named, blind) in [
        (
            "app = web -> app = db tcp/443: allow",
            "web -> db tcp/443 gets deny by default at the source",
            "app=web -> app=db tcp/443 gets deny by default at the source",
        ),
        (
            "app = web -> app = db any: deny",
            "web -> db tcp/22 gets allow by ssh (line 6)",
            "app=web -> app=db tcp/22 gets allow by ssh (line 6)",
        ),
        (
            "app = web -> app = db udp/53: reject at source",
            "web -> db udp/53 gets reject by shut (line 7) at the destination",
            "app=web -> app=db udp/53 gets reject by shut (line 7) at the destination",
        ),
        (
            "app = db -> app = web tcp/443: allow by ssh",
            "db -> web tcp/443 gets allow by web (line 4)",
            "app=db -> app=web tcp/443 gets allow by web (line 4)",
        ),
    ] {
        claims(claim, &[&fails(claim, named)], &[&fails(claim, blind)]);
    }
}

#[test]
fn claims_on_trial_or_about_nothing() {
    let trial = "app = web -> app = db tcp/22: reject by trial";
    let told = |flow: &str| {
        format!(
            "on-trial: {trial} (line 10): {flow} gets allow by ssh (line 6), and what is claimed only once rules in monitor act"
        )
    };
    claims(trial, &[&told("web -> db tcp/22")], &[&told("app=web -> app=db tcp/22")]);
    let nothing = |claim: &str, why: &str| format!("tests-nothing: {claim} (line 10): it tests nothing: {why}");
    let wed = "app = wed -> app = db tcp/22: allow by ssh";
    claims(wed, &[&nothing(wed, "`app = wed` means nobody")], &[]);
    let none = "app = web -> app = db & app = web tcp/22: deny";
    claims(
        none,
        &[&nothing(none, "`app = db & app = web` means nobody")],
        &[&nothing(none, "`app = db & app = web` means nobody")],
    );
    let v6 = "app = web -> app = db icmpv6: deny";
    claims(v6, &[&nothing(v6, "there is no such flow")], &[]);
    let left = "left out: 1 of 1 claims: they name VMs, which needs an inventory";
    claims("web -> db tcp/443: deny by default", &[], &[left]);
    claims(
        "web -> bd tcp/443: deny",
        &["failed: web -> bd tcp/443: deny (line 10): the inventory has no VM `bd`"],
        &[left],
    );
    let itself = "web -> web tcp/443: allow";
    claims(itself, &[&nothing(itself, "there is no such flow")], &[left]);
}

fn unused(tier: &str, shared: &str, expected: &[&str]) {
    let source =
        |name: &str, text: &str| Source { name: name.to_owned(), text: format!("eastwest: policy/v1\n{text}") };
    let included = [shared].iter().filter(|text| !text.is_empty()).map(|text| source("shared.yaml", text)).collect();
    let bundle = Bundle { tiers: vec![source("p.yaml", tier)], included };
    bundle.policy().unwrap_or_else(|errors| panic!("{}", render_plain(&errors)));
    let told: Vec<String> = policy::unused(&bundle).iter().map(ToString::to_string).collect();
    assert_eq!(told, expected, "{tier}");
}

#[test]
fn groups_and_services_that_nothing_names() {
    let group = |place: &str| format!("unused: {place}: nothing names this group");
    unused("groups: {a: app = a, b: 'a & has x'}\nrules:\n- {name: r, deny: any, to: b}\n", "", &[]);
    unused(
        "groups: {a: app = b, b: 'a & has x'}\nrules:\n- {name: r, deny: any, to: a}\n",
        "",
        &[&group("b (line 2)")],
    );
    // A key or a value is no group.
    unused(
        "groups: {a: app = a, b: app = b}\nrules:\n- {name: r, deny: any, to: 'a = b', from: 'x in (b, a) | has a'}\n",
        "",
        &[&group("a (line 2)"), &group("b (line 2)")],
    );
    unused(
        "groups:\n  a: app = a\n  b: app = b\n  c: [10.0.0.0/8]\n  d: has d\nowns: d\ndetect:\n- {name: d, scan: {ports: 9, within: 1s}, then: alert, from: c}\ntests: ['a -> b tcp/1: deny']\n",
        "",
        &[],
    );
    let service = "unused: web (line 3): nothing names this service";
    unused("services:\n  web: tcp/80\n  all: [web, tcp/81]\nrules:\n- {name: r, deny: [tcp/1, all]}\n", "", &[]);
    unused("services:\n  web: tcp/80\nrules:\n- {name: r, deny: tcp/80}\n", "", &[service]);
    unused("services:\n  web: tcp/80\ntests:\n- any -> any web: deny\n", "", &[]);
    let shared = "groups:\n  a: app = a\n  b: a & has b\n  c: has c\n";
    unused("include: shared.yaml\nrules:\n- {name: r, deny: any, to: b}\n", shared, &[&group("c (line 5)")]);
    unused("include: shared.yaml\ngroups: {d: c}\nrules:\n- {name: r, deny: any, to: b | d}\n", shared, &[]);
}

/// A policy whose rules tell apart two to the power of so many kinds of sources, and as many of destinations.
fn many(keys: usize, expected: &str) {
    let rule =
        |key| format!("- {{name: r{key}, allow: tcp/{key}, from: has k{key}, to: has k{key}, until: '{NOW}'}}\n");
    let rules: String = (0..keys).map(rule).collect();
    let text = format!("eastwest: policy/v1\nrules:\n{rules}");
    let told = tiers(&[("p.yaml", text)], None);
    // What needs no comparison is told all the same.
    assert_eq!(told.len(), keys + usize::from(!expected.is_empty()));
    assert_eq!(told.get(keys).map_or("", String::as_str), expected);
}

#[test]
fn what_is_too_much_is_left_out_whole_and_said() {
    let left = "left out: how the rules stand to one another, and the claims: ";
    many(3, "");
    many(
        11,
        &format!(
            "{left}2052 kinds of sources by 2052 of destinations are told apart, and 2000000 pairs are the most; an inventory may have fewer"
        ),
    );
    many(
        14,
        &format!("{left}the selectors tell apart up to 16384 kinds of VMs, and 5000 are the most; give an inventory"),
    );
}

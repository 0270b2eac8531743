//! What `check` doubts, and what lies beside it and is fine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use policy::{Inventory, Mode, Vm, parse, render_plain};

fn inventory() -> Inventory {
    let vm = |labels: &[(&str, &str)], address: &str, managed| Vm {
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        addresses: vec![address.parse().unwrap()],
        managed,
        quarantined: false,
        mode: Mode::Enforce,
    };
    let vms = [
        ("web", vm(&[("app", "web")], "10.98.0.1", true)),
        ("db", vm(&[("app", "db")], "10.98.0.2", true)),
        ("old", vm(&[("app", "old")], "10.9.0.7", false)),
    ];
    Inventory { managed: vec![], vms: vms.into_iter().map(|(name, vm)| (name.parse().unwrap(), vm)).collect() }
}

fn check(policy: &str, expected: &[&str], expected_blind: &[&str]) {
    let text = format!("eastwest: policy/v1\n{policy}");
    let policy = parse("p", &text).unwrap_or_else(|errors| panic!("{}", render_plain(&errors)));
    let told = |inventory: Option<&Inventory>| {
        policy::check(&policy, inventory).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(Some(&inventory())), expected, "{text}");
    assert_eq!(told(None), expected_blind, "{text}");
}

fn rule(rule: &str, expected: &[&str], expected_blind: &[&str]) {
    check(&format!("groups: {{office: [10.8.0.0/16]}}\nrules:\n- {rule}\n"), expected, expected_blind);
}

#[test]
fn selectors_that_match_nobody() {
    rule("{name: r, allow: any, from: app = web, to: app = db}", &[], &[]);
    rule("{name: r, allow: any, from: app = wed}", &["r (line 4): its `from` matches 0 VMs of the inventory"], &[]);
    rule(
        "{name: r, allow: any, to: app = web & app = db}",
        &["r (line 4): its `to` matches 0 VMs of the inventory"],
        &[],
    );
    rule("{name: r, allow: any, from: not vms}", &["r (line 4): its `from` matches 0 VMs of the inventory"], &[]);
    rule("{name: r, allow: any, from: app = wed | office}", &[], &[]);
    rule("{name: r, allow: any, from: office, to: any}", &[], &[]);
    let nobody = "r (line 4): its `within` names the label `dept`, which no VM of the inventory carries";
    rule("{name: r, allow: any, within: dept}", &[nobody], &[]);
    rule("{name: r, allow: any, within: app}", &[], &[]);
}

#[test]
fn an_allow_that_the_other_end_undoes() {
    let at_destination = "r (line 4): it allows at one end alone: the default of the destination undoes it";
    let at_source = "r (line 4): it allows at one end alone: the default of the source undoes it";
    rule("{name: r, allow: any, at: source}", &[at_destination], &[at_destination]);
    rule("{name: r, allow: any, at: destination, from: vms}", &[at_source], &[at_source]);
    rule("{name: r, allow: any, at: source, to: outside}", &[], &[]);
    rule("{name: r, allow: any, at: source, to: app = old}", &[], &[at_destination]);
    rule("{name: r, deny: any, at: source}", &[], &[]);
    check("default: allow\nrules:\n- {name: r, allow: any, at: source}\n", &[], &[]);
    let pair =
        |service| format!("rules:\n- {{name: r, allow: tcp/80-90, at: source}}\n- {{name: s, allow: {service}}}\n");
    check(&pair("tcp/90"), &[], &[]);
    check(&pair("any"), &[], &[]);
    let undone = "r (line 3): it allows at one end alone: the default of the destination undoes it";
    check(&pair("tcp/91"), &[undone], &[undone]);
    check(&pair("udp/80"), &[undone], &[undone]);
}

#[test]
fn a_deny_that_nobody_enforces() {
    let nowhere = "r (line 4): no agent enforces it: none stands at an end where it holds";
    rule("{name: r, deny: any, from: outside, at: source}", &[nowhere], &[nowhere]);
    rule("{name: r, deny: any, from: office, to: outside}", &[nowhere], &[nowhere]);
    rule("{name: r, reject: any, from: office, to: app = old}", &[nowhere], &[]);
    rule("{name: r, reject: any, from: office, to: app = db}", &[], &[]);
    rule("{name: r, deny: any, from: app = old, at: source}", &[nowhere], &[]);
    rule("{name: r, deny: any, from: app = old}", &[], &[]);
    rule("{name: r, allow: any, from: office, to: outside}", &[], &[]);
}

#[test]
fn a_vm_in_a_group_of_addresses() {
    let told = "r (line 4): the group `seats` holds 10.9.0.7 of the VM old, but a VM matches by its labels alone";
    check("groups: {seats: [10.9.0.0/16]}\nrules:\n- {name: r, allow: any, from: seats}\n", &[told], &[]);
    let unused = "the group `seats` holds 10.9.0.7 of the VM old, but a VM matches by its labels alone";
    check("groups: {seats: [10.9.0.0/16]}\n", &[unused], &[]);
    check("groups: {seats: [10.9.0.0/16, not 10.9.0.7]}\n", &[], &[]);
}

#[test]
fn a_detector_that_watches_nobody() {
    let detector = |ends: &str| format!("detect:\n- {{name: d, scan: {{ports: 9, within: 1s}}, then: alert{ends}}}\n");
    check(&detector(""), &[], &[]);
    check(&detector(", from: outside, to: app = db"), &[], &[]);
    check(&detector(", from: app = wed"), &["d (line 3): its `from` matches 0 VMs of the inventory"], &[]);
    check(&detector(", to: app = bd"), &["d (line 3): its `to` matches 0 VMs of the inventory"], &[]);
}

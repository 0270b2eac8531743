//! Axes: what each trial of a file stands with, and what it expects.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use harness::plan::plan;
use harness::scenario::{Families, Placement, Scenario, ScenarioErrors, Variant, parse, parse_trial};
use policy::{Family, Name, Timestamp};

const FILE: &str = "
eastwest: scenario/v1
name: web
axes: {placement: [one-host, spread], family: [v4, v6]}
topology:
  hosts: [h1, h2]
  vms:
    c: {host: h2}
    a: {host: h2, addresses: [10.98.7.1, 'fd98::701']}
    b: {host: h2}
  outside:
    office: {host: h2, addresses: [10.9.0.7, '2001:db8::7']}
policy: {rules: [{name: web, allow: [tcp/80, icmp/echo-request]}], default: deny}
steps:
  - name: one
    do: [add: {d: {host: h2}}]
    expect:
      - 'a -> b tcp/80: allow'
      - 'b -> a tcp/80: allow v4'
      - 'a -> c icmp/echo-request: allow'
      - 'a -> c tcp/80: allow from 10.98.7.1'
    matrix:
      icmp/echo-request: |
        ->  a  b  c  d
        a   .  +  +  +
        b   +  .  +  +
        c   +  +  .  +
        d   +  +  +  .
";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn trial(text: &str, variant: Variant) -> Result<Scenario, ScenarioErrors> {
    parse_trial("web.yaml", text, variant, &mut |_| Err("no such file".to_owned()))
}

#[test]
fn each_combination_is_a_trial_with_its_values_in_its_name() {
    let written = parse("web.yaml", FILE, &mut |_| Err("no such file".to_owned())).unwrap();
    assert_eq!(written.name, "web");
    let variants = written.axes.variants();
    let names: Vec<String> = variants.iter().map(|variant| trial(FILE, *variant).unwrap().name).collect();
    assert_eq!(names, ["web [one-host v4]", "web [one-host v6]", "web [spread v4]", "web [spread v6]"]);
}

#[test]
fn a_trial_places_its_vms_and_keeps_one_family_of_addresses() {
    let rows = [
        (None, None, [("c", "h2"), ("a", "h2"), ("b", "h2")], 2),
        (Some(Placement::AsWritten), Some(Families::Both), [("c", "h2"), ("a", "h2"), ("b", "h2")], 2),
        (Some(Placement::AfterMove), Some(Families::Both), [("c", "h2"), ("a", "h2"), ("b", "h2")], 2),
        (Some(Placement::OneHost), Some(Families::V4), [("c", "h1"), ("a", "h1"), ("b", "h1")], 1),
        (Some(Placement::Spread), Some(Families::V6), [("c", "h1"), ("a", "h2"), ("b", "h1")], 1),
    ];
    for (placement, family, hosts, addresses) in rows {
        let scenario = trial(FILE, Variant { placement, family }).unwrap();
        for (vm, host) in hosts {
            let vm = &scenario.topology.vms[&name(vm)];
            assert_eq!((vm.host.as_str(), vm.addresses.len()), (host, addresses), "{}", scenario.name);
        }
        let office = &scenario.topology.outside[&name("office")];
        assert_eq!((office.host.as_str(), office.addresses.len()), ("h2", addresses));
        // A VM keeps its address whichever trial it is in, and one that a step adds is placed and addressed alike.
        let steps = plan(&scenario, Timestamp::UNIX_EPOCH);
        let added = &steps[0].state.vms[&name("d")];
        assert_eq!(added.addresses.len(), addresses);
        let b = &scenario.topology.vms[&name("b")].addresses;
        assert!(["10.98.0.2", "fd98::2"].iter().filter(|one| b.contains(&one.parse().unwrap())).count() == addresses);
    }
}

#[test]
fn expectations_of_the_other_family_alone_are_left_out() {
    for (family, claimed) in [(Families::V4, 15), (Families::V6, 1), (Families::Both, 16)] {
        let scenario = trial(FILE, Variant { placement: None, family: Some(family) }).unwrap();
        let steps = plan(&scenario, Timestamp::UNIX_EPOCH);
        let claims: Vec<_> = steps[0].cells.iter().filter(|cell| !cell.by_oracle()).collect();
        assert_eq!(claims.len(), claimed, "{family:?}: {claims:#?}");
        let fits = |of: Family| match family {
            Families::V4 => of == Family::V4,
            Families::V6 => of == Family::V6,
            Families::Both => true,
        };
        assert!(steps[0].cells.iter().all(|cell| fits(cell.family)));
    }
}

fn said(errors: &ScenarioErrors) -> String {
    errors.files().iter().map(policy::render_plain).collect()
}

#[test]
fn what_does_not_work_in_a_trial_names_it() {
    let moved = format!("{FILE}  - name: two\n    do: [move: {{vm: a, to: h1}}]\n");
    let one_host = Variant { placement: Some(Placement::OneHost), family: None };
    let errors = trial(&moved, one_host).unwrap_err();
    assert_eq!(errors.files()[0].source_name(), "web.yaml [one-host]");
    assert!(said(&errors).contains("`a` is on `h1` already"), "{}", said(&errors));
    let four = FILE.replace("[10.98.7.1, 'fd98::701']", "[10.98.7.1]");
    let errors = trial(&four, Variant { placement: None, family: Some(Families::V6) }).unwrap_err();
    assert!(said(&errors).contains("in its trial of v6 alone, this has no address"), "{}", said(&errors));
}

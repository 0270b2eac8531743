//! Scenarios as they are read and planned.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

use harness::plan::{PlannedStep, plan};
use harness::scenario::{Scenario, ScenarioErrors, parse};
use policy::{Timestamp, render_plain};
use reports::event::Word;

const DEPARTMENTS: &str = "
services: {postgres: tcp/5432}
groups: {finance: dept = finance}
rules:
  - {name: no-telnet, deny: tcp/23}
  - {name: ledger-app-to-ledger-db, allow: postgres, from: finance & app = web, to: finance & app = db}
  - {name: hr-reads-no-ledgers, reject: any, from: dept = hr, to: finance}
  - {name: each-department-to-itself, allow: any, within: dept}
default: deny
";
const LOCKDOWN: &str = "{eastwest: policy/v1, rules: [], default: deny}";

const EXAMPLE: &str = include_str!("example.yaml");

fn read(text: &str) -> Result<Scenario, ScenarioErrors> {
    parse("example.yaml", text, &mut |name| match name {
        "departments.yaml" => Ok(format!("eastwest: policy/v1{DEPARTMENTS}")),
        "lockdown.yaml" => Ok(LOCKDOWN.to_owned()),
        other => Err(format!("no such file as {other}")),
    })
}

fn planned(text: &str) -> Vec<PlannedStep> {
    let scenario = read(text).unwrap_or_else(|errors| {
        let shown: Vec<String> = errors.files().iter().map(render_plain).collect();
        panic!("{}", shown.join("\n"))
    });
    plan(&scenario, Timestamp::UNIX_EPOCH)
}

#[test]
fn the_example_of_the_design_is_read_and_planned() {
    let steps = planned(EXAMPLE);
    assert_eq!(steps.len(), 3);
    for step in &steps {
        assert!(step.findings.is_empty(), "{:#?}", step.findings);
    }
    assert_eq!(steps[1].sessions.len(), 1);
    assert!(!steps[1].sessions[0].was_cut && steps[2].sessions[0].was_cut);
    assert!(steps[0].cells.iter().any(|cell| cell.expected.verdict == Word::Reject));
}

const TWO: &str = "
eastwest: scenario/v1
topology:
  hosts: [h1]
  vms:
    a: {host: h1, labels: {app: a}}
    b: {host: h1, labels: {app: b}}
policy: {rules: [{name: shell, allow: tcp/22}], default: deny}
steps:
  - name: one
";

#[test]
fn what_is_done_by_others_is_read() {
    use harness::scenario::{Action, Refuser, Tampering};
    let read = |items: &str| {
        let scenario = read(&format!("{TWO}    do:\n{items}")).unwrap_or_else(|errors| panic!("{errors}"));
        scenario.steps[0].doing.iter().map(|doing| doing.action.clone()).collect::<Vec<_>>()
    };
    let hows = ["flush", "delete-rule", "insert-accept", "delete-table", "add-element", "foreign-table"];
    let items: String = hows.iter().map(|how| format!("      - tamper: {{vm: a, how: {how}}}\n")).collect();
    let mut read_hows = Vec::new();
    for action in read(&items) {
        let Action::Tamper { how, .. } = action else { panic!("{action:?}") };
        read_hows.push(how);
    }
    let expected = [
        Tampering::Flush,
        Tampering::DeleteRule,
        Tampering::InsertAccept,
        Tampering::DeleteTable,
        Tampering::AddElement,
        Tampering::ForeignTable,
    ];
    assert_eq!(read_hows, expected);

    let rows = [
        ("{policy: lockdown.yaml, refused: no}", Refuser::Center, LOCKDOWN),
        ("{policy: lockdown.yaml, refused-by-agents: no}", Refuser::Agents, LOCKDOWN),
        ("{policy: {rules: [], default: maybe}, refused: no}", Refuser::Center, "default: maybe"),
        ("\n          policy: |\n            ][\n          refused: no", Refuser::Center, "][\n"),
    ];
    for (item, by, holds) in rows {
        let actions = read(&format!("      - publish: {item}\n"));
        let [Action::Publish(publication)] = actions.as_slice() else { panic!("{item}: {actions:?}") };
        assert!(publication.by == by && publication.refused == "no", "{publication:?}");
        assert!(publication.text.contains(holds), "{publication:?}");
    }

    let actions = read("      - send: {raw: \"syn 1-9\", from: a, to: b, times: 3, family: v6, by: socket}\n");
    let [Action::SendRaw(sending)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((sending.times, sending.family, sending.by_socket), (3, policy::Family::V6, true));
    let actions = read("      - send: {raw: na fd98::9, from: a, to: b}\n");
    let [Action::SendRaw(sending)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((sending.times, sending.family, sending.by_socket), (1, policy::Family::V6, false));
}

#[test]
fn on_the_way_each_end_may_hold_a_state_of_its_own() {
    let steps = planned(&format!(
        "{TWO}    throughout: ['a -> b tcp/22: allow v4']\n    do:\n      - policy: {{rules: [{{name: ssh, allow: tcp/22}}], default: deny}}\n"
    ));
    let [cell] = steps[0].throughout.as_slice() else { panic!("{:?}", steps[0].throughout) };
    let rules = |ends: &harness::plan::Ends| {
        let rule = |decision: &Option<harness::plan::Decision>| decision.as_ref().map(|decision| decision.rule.clone());
        (rule(&ends.source).unwrap(), rule(&ends.destination).unwrap())
    };
    let pair = |source: &str, destination: &str| (source.to_owned(), destination.to_owned());
    assert_eq!(rules(&cell.ends), pair("ssh", "ssh"));
    let also: Vec<_> = cell.also.iter().map(rules).collect();
    assert_eq!(also, [pair("ssh", "shell"), pair("shell", "ssh"), pair("shell", "shell")]);
}

#[test]
fn a_matrix_may_stand_in_a_file_and_has_the_same_cells() {
    let read = |table: &str| {
        let text = format!("{TWO}    matrix:\n      tcp/22: {table}\n");
        let table = "\u{feff}->,\"a\", b\r\na,.,+\r\nb,x,.\r\n,,\r\n";
        let mut open =
            |name: &str| if name.starts_with("ledger") { Ok(table.to_owned()) } else { Err("none".to_owned()) };
        parse("example.yaml", &text, &mut open).unwrap_or_else(|errors| panic!("{errors}"))
    };
    let written = read("|\n        -> a b\n        a  . +\n        b  x .");
    let claims = |scenario: &Scenario| {
        let of = |expectation: &harness::scenario::Expectation| expectation.claim.clone();
        scenario.steps[0].expect.iter().map(of).collect::<Vec<_>>()
    };
    for table in ["ledger.csv", "{csv: ledger}"] {
        let beside = read(table);
        assert_eq!(claims(&beside), claims(&written), "{table}");
        assert!(beside.steps[0].expect[1].text.ends_with(":3)"), "{:?}", beside.steps[0].expect[1]);
        assert_eq!(beside.steps[0].expect[1].line, 12);
    }
}

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

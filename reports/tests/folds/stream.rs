//! One small stream: a scenario that passes, one that fails in every way, one skipped, one lost.

use policy::{End, Family, Verdict, Would};
use reports::event::{Cell, Event, Figures, Finding, FindingKind, ScenarioId, ScenarioOutcome, Side, VERSION, Word};
use reports::known::{Known, Tag};
use reports::topology::{Topology, Vm};

pub(crate) fn id(name: &str) -> ScenarioId {
    ScenarioId { name: name.to_owned(), file: format!("scenarios/{}.yaml", name.replace(' ', "-")) }
}

pub(crate) fn side(verdict: Word, rule: Option<&str>, end: Option<End>) -> Side {
    Side { verdict, rule: rule.map(str::to_owned), end, would: None }
}

pub(crate) fn cell(source: &str, expected: Side, observed: Side) -> Cell {
    Cell {
        source: source.to_owned(),
        destination: "fin-db".to_owned(),
        service: "tcp/5432".to_owned(),
        family: Family::V4,
        expected,
        observed,
        by_oracle: false,
        note: String::new(),
        generation: 3,
        settle_us: 120,
    }
}

pub(crate) fn finding(kind: FindingKind, cell: &Cell, expectation: &str) -> Finding {
    Finding {
        kind,
        step: "the policy holds".to_owned(),
        expectation: expectation.to_owned(),
        source: Some(cell.source.clone()),
        destination: Some(cell.destination.clone()),
        service: Some(cell.service.clone()),
        family: Some(cell.family),
        expected: Some(cell.expected.clone()),
        observed: Some(cell.observed.clone()),
        line: 17,
        detail: "delivered and answered; no record from hr-1\nthe counter of `hr-reads-no-ledgers` did not rise"
            .to_owned(),
        diagnosis: None,
        tag: None,
    }
}

fn known(cell: &Cell) -> Known {
    let tag = Tag { id: Some("hr-9".to_owned()), owner: Some("net-team".to_owned()) };
    let expectation = "hr-2 -> fin-db tcp/5432: allow by ledger-app";
    let finding = Finding { tag: Some(tag), ..finding(FindingKind::Overblock, cell, expectation) };
    Known { ticket: "NET-12".to_owned(), until: "2027-01-31".to_owned(), finding }
}

fn unmet() -> Finding {
    Finding {
        kind: FindingKind::Unmet,
        step: "the policy holds".to_owned(),
        expectation: "agent hr-1: offline".to_owned(),
        source: None,
        destination: None,
        service: None,
        family: None,
        expected: None,
        observed: None,
        line: 21,
        detail: "the agent is online".to_owned(),
        diagnosis: None,
        tag: None,
    }
}

pub(crate) fn topology() -> Topology {
    let vm = |name: &str, host: &str, managed| Vm {
        name: name.to_owned(),
        host: host.to_owned(),
        labels: [("dept".to_owned(), name[..2].to_owned())].into(),
        addresses: vec![[10, 0, 0, 7].into()],
        managed,
    };
    Topology {
        hosts: ["rack-a", "rack-b"].map(str::to_owned).into(),
        vms: vec![vm("fin-db", "rack-b", true), vm("hr-1", "rack-a", true), vm("hr-long-name", "rack-b", false)],
        outside: Vec::new(),
    }
}

pub(crate) fn step(name: &str, cells: Vec<Cell>, findings: Vec<Finding>) -> Event {
    step_with(name, cells, findings, Vec::new())
}

fn step_with(name: &str, cells: Vec<Cell>, findings: Vec<Finding>, known: Vec<Known>) -> Event {
    Event::StepFinished {
        scenario: id(name),
        step: "the policy holds".to_owned(),
        generation: 3,
        cells,
        findings,
        known,
        figures: Figures { probes: 2, again: 1, ..Figures::default() },
    }
}

pub(crate) fn ended(name: &str, outcome: ScenarioOutcome, reason: Option<&str>) -> Event {
    Event::ScenarioFinished {
        scenario: id(name),
        outcome,
        seconds: 1.25,
        reason: reason.map(str::to_owned),
        findings: Vec::new(),
    }
}

pub(crate) fn stream() -> Vec<Event> {
    let allow = side(Word::Allow, Some("ledger-app"), None);
    let reject = side(Word::Reject, Some("hr-reads-no-ledgers"), Some(End::Source));
    let would = Would { verdict: Verdict::Deny, rule: Some("no-telnet".to_owned()), end: Some(End::Source) };
    let good = cell("fin-web", allow.clone(), allow.clone());
    let leak = cell("hr-1", reject.clone(), allow.clone());
    let wrong = cell(
        "hr-long-name",
        reject,
        Side { would: Some(would), ..side(Word::Deny, Some("default"), Some(End::Destination)) },
    );
    let findings = vec![
        finding(FindingKind::Leak, &leak, "hr-* -> fin-db tcp/5432: reject by hr-reads-no-ledgers at source"),
        finding(FindingKind::WrongAction, &wrong, "hr-* -> fin-db tcp/5432: reject by hr-reads-no-ledgers at source"),
        unmet(),
    ];
    let known = known(&cell("hr-2", allow.clone(), wrong.observed.clone()));
    let names = ["all good", "all bad", "left out", "never ended"];
    vec![
        Event::RunStarted { version: VERSION, scenarios: names.map(id).to_vec(), seed: 7, jobs: 2, model: false },
        Event::ScenarioStarted {
            scenario: id("all bad"),
            steps: vec!["the policy holds".to_owned(), "and is never reached".to_owned()],
            topology: topology(),
        },
        Event::LabReady { scenario: id("all bad"), seconds: 0.3, vms: 3, hosts: 2 },
        step("all bad", vec![good.clone(), leak, wrong], findings),
        step_with("all good", vec![good], Vec::new(), vec![known]),
        ended("all good", ScenarioOutcome::Passed, None),
        ended("all bad", ScenarioOutcome::Failed, None),
        ended("left out", ScenarioOutcome::Skipped, Some("it is slow: name its file to run it")),
        Event::ScenarioStarted { scenario: id("never ended"), steps: Vec::new(), topology: Topology::default() },
        Event::RunFinished { seconds: 2.5, interrupted: true },
    ]
}

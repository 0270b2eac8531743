//! The folds, each over the same small stream: a scenario that passes, one that fails in every way, one skipped, one lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use policy::{Action, End, Family, Would};
use reports::event::{Cell, Event, Figures, Finding, FindingKind, ScenarioId, ScenarioOutcome, Side, VERSION, Word};
use reports::topology::{Topology, Vm};
use reports::{Json, Junit, Manner, Recorder, RecordingError, Run, Terminal, Totals, read_recording};

fn id(name: &str) -> ScenarioId {
    ScenarioId { name: name.to_owned(), file: format!("scenarios/{}.yaml", name.replace(' ', "-")) }
}

fn side(verdict: Word, rule: Option<&str>, end: Option<End>) -> Side {
    Side { verdict, rule: rule.map(str::to_owned), end, would: None }
}

fn cell(source: &str, expected: Side, observed: Side) -> Cell {
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

fn finding(kind: FindingKind, cell: &Cell, expectation: &str) -> Finding {
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
    }
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
    }
}

fn topology() -> Topology {
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

fn step(name: &str, cells: Vec<Cell>, findings: Vec<Finding>) -> Event {
    Event::StepFinished {
        scenario: id(name),
        step: "the policy holds".to_owned(),
        generation: 3,
        cells,
        findings,
        figures: Figures { probes: 2, again: 1, ..Figures::default() },
    }
}

fn ended(name: &str, outcome: ScenarioOutcome, reason: Option<&str>) -> Event {
    Event::ScenarioFinished {
        scenario: id(name),
        outcome,
        seconds: 1.25,
        reason: reason.map(str::to_owned),
        findings: Vec::new(),
    }
}

fn stream() -> Vec<Event> {
    let allow = side(Word::Allow, Some("ledger-app"), None);
    let reject = side(Word::Reject, Some("hr-reads-no-ledgers"), Some(End::Source));
    let would = Would { verdict: Action::Deny, rule: Some("no-telnet".to_owned()), end: Some(End::Source) };
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
        step("all good", vec![good], Vec::new()),
        ended("all good", ScenarioOutcome::Passed, None),
        ended("all bad", ScenarioOutcome::Failed, None),
        ended("left out", ScenarioOutcome::Skipped, Some("it is slow: name its file to run it")),
        Event::ScenarioStarted { scenario: id("never ended"), steps: Vec::new(), topology: Topology::default() },
        Event::RunFinished { seconds: 2.5, interrupted: true },
    ]
}

/// Numbers of seconds, which differ from run to run, become one word.
fn redacted(text: &str) -> String {
    let words = text.split(' ').collect::<Vec<_>>();
    let seconds = |at: usize| {
        words[at].contains('.')
            && words.get(at + 1).is_some_and(|word| word.trim_end() == "s" || word.starts_with("s\n"))
    };
    let words = (0..words.len()).map(|at| if seconds(at) { "TIME" } else { words[at] });
    words.collect::<Vec<_>>().join(" ")
}

fn told(manner: Manner, events: &[Event]) -> String {
    let mut bytes = Vec::new();
    let mut terminal = Terminal::new(&mut bytes, manner);
    for event in events {
        terminal.event(event).unwrap();
    }
    terminal.finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_terminal_tells_failures_as_tables() {
    insta::assert_snapshot!("terminal", redacted(&told(Manner::default(), &stream())));
}

#[test]
fn colours_and_the_live_line_come_only_when_asked_for() {
    let escapes = |manner| told(manner, &stream()).contains('\x1b');
    let rows = [(false, false, false), (true, false, true), (false, true, true), (true, true, true)];
    for (colour, live, expected) in rows {
        assert_eq!(escapes(Manner { colour, live }), expected, "colour {colour}, live {live}");
    }
}

#[test]
fn a_stream_that_ends_early_is_said_to() {
    let events = stream();
    assert!(told(Manner::default(), &events[..events.len() - 1]).contains("the stream ends before the run does"));
}

#[test]
fn junit_holds_a_suite_for_each_scenario_with_the_cause() {
    let mut fold = Junit::default();
    stream().iter().for_each(|event| fold.event(event));
    let mut bytes = Vec::new();
    fold.finish(&mut bytes).unwrap();
    insta::assert_snapshot!("junit", String::from_utf8(bytes).unwrap());
}

#[test]
fn json_has_the_promised_form() {
    let mut fold = Json::default();
    stream().iter().for_each(|event| fold.event(event));
    let mut bytes = Vec::new();
    fold.finish(&mut bytes).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn totals_count_a_scenario_that_never_ended_as_an_error() {
    let mut run = Run::default();
    stream().iter().for_each(|event| run.event(event));
    let expected = Totals {
        scenarios: 4,
        passed: 1,
        failed: 1,
        error: 1,
        skipped: 1,
        cells: 4,
        findings: 3,
        again: 2,
        by_clock: 0,
    };
    assert_eq!(run.totals(), expected);
}

fn recorded() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut recorder = Recorder::new(&mut bytes);
    stream().iter().for_each(|event| recorder.event(event).unwrap());
    bytes
}

#[test]
fn a_recording_gives_the_same_stream_back() {
    let recording = read_recording(recorded().as_slice()).unwrap();
    assert_eq!((recording.events, recording.truncated), (stream(), None));
}

#[test]
fn a_recording_without_topologies_reads_as_one_of_which_none_is_known() {
    let stands = serde_json::to_string(&topology()).unwrap();
    let nothing = serde_json::to_string(&Topology::default()).unwrap();
    let older = String::from_utf8(recorded()).unwrap();
    let older = older.replace(&format!(",\"topology\":{stands}"), "").replace(&format!(",\"topology\":{nothing}"), "");
    assert!(!older.contains("topology"), "{older}");
    let emptied = recorded().len() - older.len() > stands.len();
    let read = read_recording(older.as_bytes()).unwrap();
    let mut run = Run::default();
    read.events.iter().for_each(|event| run.event(event));
    assert!(emptied && run.scenarios.len() == 4 && run.scenarios.iter().all(|scenario| scenario.topology.is_empty()));
}

#[test]
fn a_last_line_cut_short_is_left_out_and_said() {
    let bytes = recorded();
    for cut in [2, 10, 40] {
        let recording = read_recording(&bytes[..bytes.len() - cut]).unwrap();
        assert_eq!((recording.events.len(), recording.truncated), (9, Some(10)), "cut by {cut}");
    }
    let recording = read_recording(&bytes[..bytes.len() - 1]).unwrap();
    assert_eq!((recording.events.len(), recording.truncated), (10, None), "only the last newline is missing");
}

#[test]
fn what_is_no_recording_is_refused() {
    let newer = String::from_utf8(recorded()).unwrap().replace("\"version\":1", "\"version\":2");
    let broken = format!("not an event\n{}", String::from_utf8(recorded()).unwrap());
    let rows: [(&str, &str); 4] = [
        ("", "read the recording: it is empty"),
        (&newer, "read a recording of version 2: this build reads up to version 1"),
        (&broken, "read line 1 of the recording: expected ident at line 1 column 2"),
        ("{\"event\":\"no-such\"}\n", "read line 1 of the recording: unknown variant `no-such`"),
    ];
    for (text, expected) in rows {
        let error: RecordingError = read_recording(text.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error} for {text:.40}");
    }
}

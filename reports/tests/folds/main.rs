//! The folds, each over the same small stream: a scenario that passes, one that fails in every way, one skipped, one lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod forms;
mod stream;

use reports::event::Event;
use reports::topology::Topology;
use reports::{Json, Junit, Manner, Recorder, RecordingError, Run, Terminal, Totals, read_recording};

use stream::{stream, topology};

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
        known: 1,
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

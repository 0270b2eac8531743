//! Expectations that are known to fail, on real packets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::Command;

const SCENARIO: &str = "\
eastwest: scenario/v1
name: known
topology:
  hosts: [rack]
  vms:
    hr: {host: rack, labels: {dept: hr}}
    web: {host: rack, labels: {app: web}}
policy:
  rules: [{name: hr-web, allow: tcp/80, from: dept = hr, to: app = web}]
steps:
  - name: it holds
    expect:
      - \"hr -> web tcp/80: allow by hr-web\"
      - {expect: \"CLAIM\", known: NET-12 until DAY, id: web-1, owner: net-team}
";
/// Claims of which the policy shares the second alone.
const CLAIMS: [&str; 2] = ["web -> hr tcp/80: allow", "web -> hr tcp/80: deny by default"];

/// The same in a matrix, of which a cell bears a note.
const MATRIX: &str = "\
eastwest: scenario/v1
name: known
topology:
  hosts: [rack]
  vms:
    hr: {host: rack, labels: {dept: hr}}
    web: {host: rack, labels: {app: web}}
policy:
  rules: [{name: hr-web, allow: tcp/80, from: dept = hr, to: app = web}]
steps:
  - name: it holds
    matrix:
      tcp/80: |
        ->   hr  web
        hr   .   +
        web  CLAIM  .
    known: {7: NET-12 until DAY}
";

/// A row: the claim, the day, the exit code, and what is said.
fn check(scenario: &str, (claim, day, code, said): (&str, &str, i32, &[&str])) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("known.yaml"), scenario.replace("CLAIM", claim).replace("DAY", day)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    let output = command.current_dir(folder.path()).args(["run", "known.yaml", "--report", "out"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{claim} {day}: {text}");
    for words in said {
        assert!(text.contains(words), "{claim} {day}: `{words}` is missing in {text}");
    }
    for form in ["human", "json", "junit", "tap", "markdown", "html"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
        let command = command.current_dir(folder.path()).args(["report", "render", "out", "--format", form]);
        let told = command.output().unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        assert!(told.status.code() == Some(code) && text.contains("NET-12"), "{form}: {text}");
    }
}

#[test]
fn what_is_known_is_shown_and_fails_nothing_until_its_day_is_over() {
    let known = "known.yaml:14 NET-12 until 2999-12-31: ";
    let over = "it was known as NET-12 until 2020-02-29, and that time is over";
    let mended = "what is known as NET-12 fails no more: take the mark away";
    let rows: [(&str, &str, i32, &[&str]); 3] = [
        (CLAIMS[0], "2999-12-31", 0, &["PASS", known, "(web-1, owner net-team)", "0 findings, 4 known"]),
        (CLAIMS[0], "2020-02-29", 1, &["FAIL", over, "4 findings, 0 again"]),
        (CLAIMS[1], "2999-12-31", 1, &["FAIL", mended, "the expectation is web-1, owner net-team"]),
    ];
    rows.into_iter().for_each(|row| check(SCENARIO, row));
}

#[test]
fn so_is_what_a_cell_of_a_matrix_is_known_for() {
    let rows: [(&str, &str, i32, &[&str]); 3] = [
        ("+7", "2999-12-31", 0, &["PASS", "known.yaml:16 NET-12 until 2999-12-31: ", "0 findings, 4 known"]),
        (
            "+7",
            "2020-02-29",
            1,
            &["FAIL", "it was known as NET-12 until 2020-02-29, and that time is over", "4 findings"],
        ),
        ("x7", "2999-12-31", 1, &["FAIL", "what is known as NET-12 fails no more: take the mark away"]),
    ];
    rows.into_iter().for_each(|row| check(MATRIX, row));
}

//! `eastwest run FILE --watch` on real packets: what is saved is judged in the lab that stands.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const POLICY: &str = "\
eastwest: policy/v1
rules:
  - {name: hr-web, allow: tcp/80, from: dept = hr, to: app = web}
";
const SCENARIO: &str = "\
eastwest: scenario/v1
name: watched
topology:
  hosts: [rack, other]
  vms:
    hr: {host: rack, labels: {dept: hr}}
    web: {host: rack, labels: {app: web}}
policy: policy.yaml
steps:
  - name: it holds
    expect:
      - hr -> web tcp/80: allow by hr-web
      - web -> hr tcp/80: deny by default at source
  - name: hr is no more
    do:
      - label: {vm: hr, set: {dept: it}}
    expect:
      - hr -> web tcp/80: deny by default at source
";

/// A row: the file, its text, and what is said then, from the save until it waits again.
type Row<'a> = (&'a str, String, &'a [&'a str]);

#[test]
fn what_is_saved_is_judged_in_the_lab_that_stands() {
    let folder = tempfile::tempdir().unwrap();
    let save = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    save("policy.yaml", POLICY);
    save("watched.yaml", SCENARIO);
    let mut child = Command::new(env!("CARGO_BIN_EXE_eastwest"))
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .args(["run", "watched.yaml", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut notes = BufReader::new(child.stderr.take().unwrap());
    let anew = "the lab is raised anew: its hosts";
    let moved = SCENARIO.replace("web: {host: rack", "web: {host: other");
    let more = moved.replace("    web:", "    new: {host: other, labels: {dept: hr}}\n    web:");
    let rows: [Row<'_>; 7] = [
        ("", String::new(), &["1 passed", "s from the save"]),
        ("policy.yaml", POLICY.replace("tcp/80", "tcp/81"), &["1 failed", "disagreement"]),
        ("policy.yaml", POLICY.to_owned(), &["1 passed"]),
        ("watched.yaml", SCENARIO.replace("host: rack", "hots: rack"), &["watched.yaml:6", "hots"]),
        ("watched.yaml", moved, &["1 passed", "s from the save"]),
        ("watched.yaml", more, &["1 passed", "s from the save"]),
        ("watched.yaml", SCENARIO.replace("[rack, other]", "[rack]"), &[anew, "1 passed"]),
    ];
    for (file, text, said) in rows {
        if !file.is_empty() {
            save(file, &text);
        }
        let told = until(&mut notes, "waiting until watched.yaml is saved");
        let summary =
            if said.iter().any(|words| words.contains("ed.yaml:")) { String::new() } else { summary(&mut out) };
        let all = format!("{told}{summary}");
        said.iter().for_each(|words| assert!(all.contains(words), "`{words}` is missing behind {text}: {all}"));
        assert!(said.contains(&anew) || !all.contains("anew"), "behind {text}: {all}");
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left = left_in(folder.path());
    assert_eq!(left, ["policy.yaml", "watched.yaml"], "something of the lab stays");
}

fn left_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<String> = entries.collect();
    left.sort();
    left
}

/// The lines up to one that begins so.
fn until(lines: &mut impl BufRead, begins: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended: {all}");
        all += &line;
        if line.starts_with(begins) {
            return all;
        }
    }
}

/// What is told of a run, up to its sums.
fn summary(lines: &mut impl BufRead) -> String {
    until(lines, "1 scenario: ")
}

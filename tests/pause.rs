//! `run --pause-on-fail` and `--keep`: what can be asked of a world that is not as expected, and that the run ends as without it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod two;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use two::SCENARIO;

const STEPS: &str = "\
steps:
  - name: as it should be
    expect:
      - hr -> web tcp/80: allow by hr-web
  - name: wrongly expected
    expect:
      - hr -> web tcp/22: allow
  - name: without its label
    do:
      - label: {vm: hr, set: {dept: none}}
    expect:
      - hr -> web tcp/80: deny by default at source
";

/// A row: what is typed, the exit code, what both streams hold, and what they do not.
type Row<'a> = (&'a str, i32, &'a [&'a str], &'a [&'a str]);

fn check((typed, code, holds, lacks): Row<'_>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("two.yaml"), format!("{SCENARIO}{STEPS}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder.path()).env("TMPDIR", folder.path()).args(["run", "two.yaml", "--pause-on-fail"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{typed:?}:\n{text}");
    for part in holds {
        assert!(text.contains(part), "{typed:?} does not say `{part}`:\n{text}");
    }
    for part in lacks {
        assert!(!text.contains(part), "{typed:?} says `{part}`:\n{text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{typed:?} leaves something behind");
}

#[test]
fn the_world_answers_and_the_run_goes_on() {
    let paused = "paused behind step `wrongly expected` of two departments (two.yaml)";
    let summed = "1 scenario: 0 passed, 1 failed";
    let rows: [Row<'_>; 5] = [
        ("", 1, &[paused, summed], &["paused behind step `as it should be`", "without its label`"]),
        ("help\ncontinue\n", 1, &[paused, "a program in a VM's network", summed], &[]),
        (
            "probe hr web tcp/80\nprobe hr web tcp/22\nprobe hr wbe tcp/80\nstatus\n",
            1,
            &[
                "hr -> web tcp/80 v4: allowed by hr-web",
                "hr -> web tcp/22 v6: denied by default",
                "did you mean `web`",
                "agent online",
                summed,
            ],
            &[],
        ),
        ("exec web -- echo here it is\n", 1, &["here it is", summed], &[]),
        ("up two.yaml\nquit\n", 130, &["`up two.yaml` is not understood here", "interrupted"], &[]),
    ];
    rows.into_iter().for_each(check);
}

#[test]
fn a_world_is_kept_until_somebody_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("two.yaml"), format!("{SCENARIO}{STEPS}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder.path()).env("TMPDIR", folder.path()).args(["run", "two.yaml", "--keep"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "kept as it stands behind step `wrongly expected` of two departments (two.yaml)"));
    let line = lines.next().unwrap();
    let name = line.split_whitespace().nth(3).unwrap();
    let lab = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
        let output = command.env("TMPDIR", folder.path()).args(["lab", "--lab", name]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(lab(&["probe", "hr", "web", "tcp/22"]).contains("hr -> web tcp/22 v4: denied by default"));
    assert!(lab(&["exec", "web", "--", "echo", "here it is"]).contains("here it is"));
    lab(&["down"]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("1 scenario: 0 passed, 1 failed"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "it leaves something behind");
}

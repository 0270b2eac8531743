//! Where people begin: `eastwest init` and `eastwest demo`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn eastwest(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder).env("TMPDIR", folder).args(args).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Nothing but what is named here is left in a folder.
fn holds(folder: &Path, names: &[&str]) {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn each_template_passes_and_its_policy_has_no_mistake() {
    for template in ["departments", "three-tier", "zero-trust"] {
        let folder = tempfile::tempdir().unwrap();
        let written = eastwest(folder.path(), &["init", "--template", template, "--ci", "gitlab"]);
        assert_eq!(written.status.code(), Some(0), "{}", said(&written));
        holds(folder.path(), &[".gitlab-ci.yml", "policy.yaml", "scenarios"]);
        let run = eastwest(folder.path(), &["run", "scenarios"]);
        assert_eq!(run.status.code(), Some(0), "{template}: {}", said(&run));
        let checked = eastwest(folder.path(), &["check", "policy.yaml"]);
        assert_eq!(checked.status.code(), Some(0), "{template}: {}", said(&checked));
    }
}

#[test]
fn what_is_there_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), "mine").unwrap();
    let refused = eastwest(folder.path(), &["init", "--ci", "none"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("cannot write over what is there: policy.yaml"), "{}", said(&refused));
    holds(folder.path(), &["policy.yaml"]);
    assert_eq!(fs::read_to_string(folder.path().join("policy.yaml")).unwrap(), "mine");
    let elsewhere = eastwest(folder.path(), &["init", "new/place"]);
    assert_eq!(elsewhere.status.code(), Some(0), "{}", said(&elsewhere));
    holds(&folder.path().join("new/place"), &[".github", "policy.yaml", "scenarios"]);
}

#[test]
fn the_demo_shows_its_scenes_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shown = eastwest(folder.path(), &["demo", "--pace", "0"]);
    let text = said(&shown);
    assert_eq!(shown.status.code(), Some(0), "{text}");
    for part in [
        "hr-1 -> fin-db tcp/5432 v4: rejected by hr-reads-no-ledgers at the source",
        "fin-web -> fin-db tcp/5432 v6: allowed by web-to-ledger",
        "hr-1 -> fin-web tcp/443 v4: allowed by each-department-to-itself",
        "hr-1 -> hr-2 tcp/443 v4: denied by default at the source",
    ] {
        assert!(text.contains(part), "the demo does not show `{part}`:\n{text}");
    }
    holds(folder.path(), &[]);
}

#[test]
fn an_interrupted_demo_takes_its_lab_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.env("TMPDIR", folder.path()).args(["demo", "--pace", "255"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The lab stands, and what it is made of is told.
    assert!(lines.any(|line| line.unwrap().contains("hr-2")));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    holds(folder.path(), &[]);
}

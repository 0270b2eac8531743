//! What a run keeps of a scenario in which something was not as expected.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SCENARIO: &str = "\
eastwest: scenario/v1
name: web is closed, they say
topology:
  hosts: [h1]
  vms:
    hr: {host: h1, labels: {dept: hr}}
    web: {host: h1, labels: {app: web}}
    idle: {host: h1, labels: {app: idle}}
policy:
  eastwest: policy/v1
  rules:
    - {name: hr-web, allow: tcp/80, from: dept = hr, to: app = web}
  default: deny
steps:
  - name: as it is
    expect:
      - hr -> web tcp/80: allow by hr-web
      - idle -> web tcp/80: deny by default
  - name: as they say
    expect:
      - hr -> web tcp/80: deny by default
";

/// Runs the scenario with a report, and gives the names of what was kept as evidence.
fn kept(folder: &Path, options: &[&str], code: i32) -> BTreeSet<String> {
    fs::write(folder.join("scenario.yaml"), SCENARIO).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder).args(["run", "scenario.yaml", "--report", "out"]).args(options);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}{}", String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("evidence: out/evidence"), "{said}");
    let evidence = folder.join("out/evidence/web-is-closed--they-say");
    fs::read_dir(evidence).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn holds(file: &[u8], what: &[u8]) -> bool {
    file.windows(what.len()).any(|part| part == what)
}

#[test]
fn of_a_step_with_findings_the_frames_counters_and_logs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept = kept(folder.path(), &[], 1);
    let of_steps: Vec<&str> = kept.iter().map(String::as_str).filter(|name| name.starts_with("step-")).collect();
    let expected = ["step-2-hr-counters.txt", "step-2-web-counters.txt", "step-2.pcapng"];
    let shown: Vec<&str> = of_steps.iter().copied().filter(|name| !name.ends_with("connections.txt")).collect();
    assert_eq!(
        shown, expected,
        "of the step that was as expected nothing is kept, nor of a VM that no finding is about"
    );
    for log in ["center.log", "hr.log", "web.log", "idle.log"] {
        assert!(kept.iter().any(|name| name.ends_with(log)), "{log} is not among {kept:?}");
    }
    let evidence = folder.path().join("out/evidence/web-is-closed--they-say");
    let frames = fs::read(evidence.join("step-2.pcapng")).unwrap();
    assert_eq!(frames[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    assert!(
        holds(&frames, b"\x02\0\x02\0hr") && holds(&frames, b"\x02\0\x03\0web"),
        "each wire has its station's name"
    );
    assert!(!holds(&frames, b"idle"), "and only those are there that are concerned");
    let counted = fs::read_to_string(evidence.join("step-2-web-counters.txt")).unwrap();
    assert!(counted.contains("allow hr-web\n") && counted.contains("deny default\n"), "{counted}");
    assert_eq!(fs::read_to_string(evidence.join("again.txt")).unwrap(), "eastwest run scenario.yaml\n");
}

#[test]
fn where_a_world_does_not_stand_the_logs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept = kept(folder.path(), &["--agent", "/bin/false"], 1);
    assert!(kept.iter().any(|name| name.ends_with("center.log")), "{kept:?}");
    assert!(kept.contains("again.txt") && kept.iter().all(|name| !name.ends_with("pcapng")), "{kept:?}");
}

#[test]
fn one_flow_alone_is_run_again_with_its_packets() {
    let folder = tempfile::tempdir().unwrap();
    kept(folder.path(), &[], 1);
    let rows = [
        ("1", 1, "hr  … out hr 10.98.0.1: … > web 10.98.0.2:80 tcp S "),
        ("2", 1, "web  … in  hr [fd98::1]: … > web [fd98::2]:80 tcp S "),
        ("3", 2, "find flow 3: those that were not as expected are\n  1  hr -> web tcp/80 v4, step `as they say`"),
        ("0", 2, "find flow 0"),
    ];
    for (number, code, part) in rows {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
        let output = command.current_dir(folder.path()).args(["rerun", "out", "--cell", number]).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}");
        // What stands between them is the time.
        let holds = |line: &str| part.split(" … ").all(|part| line.contains(part));
        assert!(said.lines().any(holds) || said.contains(part), "{number}: {said}");
    }
}

#[test]
fn of_a_scenario_that_is_interrupted_what_is_known_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let stuck = "    do: [{exec: {vm: hr, run: [bash, -c, \"echo > stuck; read -r nothing < pipe\"]}}]\n    expect:\n      - idle";
    fs::write(
        folder.path().join("scenario.yaml"),
        SCENARIO.replacen("    expect:\n      - hr -> web tcp/80: allow by hr-web\n      - idle", stuck, 1),
    )
    .unwrap();
    let pipe = folder.path().join("stuck");
    for name in ["stuck", "pipe"] {
        nix::unistd::mkfifo(&folder.path().join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    let child =
        command.current_dir(folder.path()).args(["run", "scenario.yaml", "--report", "out"]).stdout(Stdio::piped());
    let child = child.stderr(Stdio::piped()).spawn().unwrap();
    // The program runs, and will not end.
    assert_eq!(fs::read_to_string(pipe).unwrap(), "\n");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted: it was not run to its end") && !said.contains("not-run"), "{said}");
    let evidence = folder.path().join("out/evidence/web-is-closed--they-say");
    let kept = fs::read_dir(evidence).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept: BTreeSet<String> = kept.collect();
    for name in ["1-center.log", "again.txt", "step-1-hr-counters.txt", "step-1.pcapng"] {
        assert!(kept.contains(name), "{kept:?}");
    }
}

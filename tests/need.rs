//! What a topology needs and the machine has not is told with numbers, before anything is raised, and ends with the code of a machine
//! that cannot do it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, or says why it is skipped"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const MANY: &str = "\
eastwest: scenario/v1
name: many
topology:
  hosts: [rack]
  vms:
    web-[1..40]: {host: rack, agent: none}
steps:
  - name: it holds
    expect:
      - web-1 -> web-2 tcp/80: allow
";
/// A scenario that has a finding wherever it is run.
const FAILS: &str = "\
eastwest: scenario/v1
name: fails
topology:
  hosts: [rack]
  vms:
    a: {host: rack, agent: none}
    b: {host: rack, agent: none}
steps:
  - name: it holds
    expect:
      - a -> b tcp/80: deny
";

/// The command, in a shell that permits so many descriptors.
fn eastwest(folder: &Path, descriptors: u32, arguments: &str) -> Output {
    let line = format!("ulimit -n {descriptors} && exec \"$0\" {arguments}");
    let mut shell = Command::new("sh");
    shell.current_dir(folder).arg("-c").arg(line).arg(env!("CARGO_BIN_EXE_eastwest")).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_topology_that_is_too_large_ends_with_3_and_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("many.yaml"), MANY).unwrap();
    fs::write(folder.path().join("fails.yaml"), FAILS).unwrap();
    let doctor = said(&eastwest(folder.path(), 4096, "doctor"));
    if doctor.contains("MISSING") {
        eprintln!("skipped: this machine lacks what a lab needs\n{doctor}");
        return;
    }
    let lack = "raise 40 VMs: it needs about 400 file descriptors, and a process may have 300: raise the limit";
    let rows: [(&str, u32, i32, &[&str]); 6] = [
        ("run many.yaml", 300, 3, &["ERROR", lack, "LimitNOFILE=400", "0 passed, 0 failed, 1 error"]),
        ("run many.yaml --format json", 300, 3, &[lack]),
        ("reach many.yaml --services tcp/80 --packets", 300, 3, &[lack]),
        ("lab up many.yaml --lab too-many", 300, 3, &[lack]),
        // What a scenario found is never hidden by what another lacks.
        ("run many.yaml fails.yaml", 300, 1, &[lack, "0 passed, 1 failed, 1 error"]),
        ("run many.yaml", 4_096, 0, &["1 passed"]),
    ];
    for (arguments, descriptors, code, holds) in rows {
        let output = eastwest(folder.path(), descriptors, arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
        holds.iter().for_each(|part| assert!(text.contains(part), "{arguments}: `{part}` is not in {text}"));
    }
}

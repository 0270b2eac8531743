//! A run that is killed at any instant leaves nothing: no process, link, mount or file.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What a machine could be left with.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    links: BTreeSet<String>,
    mounts: BTreeSet<String>,
    named: BTreeSet<String>,
    files: BTreeSet<String>,
}

fn traces() -> Traces {
    let names = |folder: &str| {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains("eastwest"))
            .collect()
    };
    let lines = |file: &str| std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<BTreeSet<_>>();
    Traces {
        links: std::fs::read_dir("/sys/class/net")
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect(),
        mounts: lines("/proc/self/mounts"),
        named: names("/run/netns"),
        files: [names("/tmp"), names("/run"), names("/dev/shm")]
            .into_iter()
            .flat_map(|set: BTreeSet<String>| set)
            .collect(),
    }
}

/// Every descendant of the run inherits the pipe's writing end: its reader sees the end only when all of them are gone.
fn kill_after(delay: Duration, report: &std::path::Path) {
    let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_eastwest"))
        .args(["run", "scenarios/departments/across-hosts.yaml", "scenarios/change/move.yaml", "--report"])
        .arg(report)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(writer);
    let mut ended = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    poll(&mut ended, PollTimeout::try_from(delay).unwrap()).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let mut rest = Vec::new();
    std::fs::File::from(reader).read_to_end(&mut rest).unwrap();
}

#[test]
fn a_killed_run_leaves_nothing() {
    let runs: u64 = std::env::var("EASTWEST_KILLS").map_or(10, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let before = traces();
    let mut random = StdRng::seed_from_u64(7);
    for run in 0..runs {
        let delay = Duration::from_millis(random.random_range(0..1_500));
        kill_after(delay, &folder.path().join(run.to_string()));
        assert_eq!(traces(), before, "after a kill at {delay:?}");
    }
}

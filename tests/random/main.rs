//! Oracle against kernel: random policies on random topologies, every cell of both families judged by both.
//!
//! 50 policies and 20 histories by default; a history is a series of states in which policies, labels, places and quarantines
//! change under open flows. `EASTWEST_RANDOM=1000` and `EASTWEST_HISTORIES=2000` are the soak, `EASTWEST_SEED` moves both series.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

use harness::fuzz;
use libtest_mimic::{Arguments, Failed, Trial};

/// States that share one topology; raising a lab costs more than changing its policy.
const POLICIES_PER_TOPOLOGY: usize = 10;
/// States of one history.
const STATES: usize = 9;

fn main() {
    let arguments = Arguments::from_args();
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let policies: usize = number("EASTWEST_RANDOM", 50);
    let first = number("EASTWEST_SEED", 1) as u64;
    let histories = number("EASTWEST_HISTORIES", 20) as u64;
    let seeds = |count: u64| first..first + count;
    let states = seeds(policies.div_ceil(POLICIES_PER_TOPOLOGY) as u64).map(|seed| {
        let run = move || agree(seed, &fuzz::policies(seed, POLICIES_PER_TOPOLOGY).text(), POLICIES_PER_TOPOLOGY);
        Trial::test(format!("seed {seed}"), run)
    });
    let histories = seeds(histories).map(|seed| {
        Trial::test(format!("history {seed}"), move || agree(seed, &fuzz::history(seed, STATES).text(), STATES))
    });
    let small = Trial::test("a compiler's bug is found, and what shows it made small", small);
    let trials = states.chain(histories).chain([small]).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Agents that ask rules which deny before those that allow: a case of a rule or two is left of what shows it.
fn small() -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let saboteur = Path::new(env!("CARGO_BIN_EXE_eastwest")).with_file_name("eastwest-saboteur");
    let output = Command::new(env!("CARGO_BIN_EXE_eastwest"))
        .args(["fuzz", "--seed", "2", "--cases", "2", "--agent-arg=--bug=deny-first", "--agent"])
        .arg(saboteur)
        .arg("--keep")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let kept = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let small = kept.into_iter().find(|path| path.to_str().is_some_and(|path| path.ends_with("-small.yaml")));
    let text = small.map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
    let rules = text.matches("name: rule-").count();
    if output.status.code() == Some(1) && (1..=3).contains(&rules) {
        return Ok(());
    }
    Err(format!("exit {:?}, {rules} rules\n{said}\n{text}", output.status.code()).into())
}

/// Runs one random scenario of so many states; its expectations are all the oracle's.
fn agree(seed: u64, text: &str, states: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("random-{seed}.yaml"));
    std::fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_eastwest"))
        .args(["run", "--format", "json", "--report"])
        .arg(folder.path().join("report"))
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&said)
        .map_err(|error| format!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
    let cells = report["totals"]["cells"].as_u64().unwrap_or(0);
    if output.status.code() == Some(0) && cells >= states as u64 {
        return Ok(());
    }
    let kept = std::env::temp_dir().join(format!("eastwest-random-{seed}.yaml"));
    std::fs::write(&kept, text).unwrap();
    let findings = serde_json::to_string_pretty(&report).unwrap();
    Err(format!("exit {:?}, {cells} cells; kept as {}\n{findings}", output.status.code(), kept.display()).into())
}

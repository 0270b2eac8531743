//! Every scenario of the suite as a test of its own, run by the command that ships.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock, RwLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde::Deserialize;

/// One line of `list --format json`; of a file with axes there are several.
#[derive(Deserialize)]
struct Listed {
    file: String,
    slow: bool,
    soak: bool,
    exclusive: bool,
}

#[derive(Deserialize)]
struct List {
    scenarios: Vec<Listed>,
}

/// One line of `doctor --format json`.
#[derive(Deserialize)]
struct Check {
    name: String,
    ok: bool,
    detail: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let stdout = eastwest().args(["list", "scenarios", "--format", "json"]).output().unwrap().stdout;
    let List { scenarios } = serde_json::from_slice(&stdout).unwrap();
    assert!(scenarios.len() >= 14, "the suite has only {} scenarios", scenarios.len());
    // Floods run alone: they hold the lock for themselves, all others share it.
    let alone = Arc::new(RwLock::new(()));
    let same_file = |one: &Listed, other: &Listed| one.file == other.file;
    let files = scenarios.chunk_by(same_file);
    let trials = files.filter_map(|of_file| Some(trial(of_file.first()?, of_file.len(), Arc::clone(&alone)))).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn eastwest() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    command
}

fn trial(listed: &Listed, number: usize, alone: Arc<RwLock<()>>) -> Trial {
    let Listed { file, slow, soak, exclusive } = listed;
    let (file, slow, soak, exclusive) = (file.clone(), *slow, *soak, *exclusive);
    Trial::ignorable_test(file.clone(), move || {
        if slow {
            return Ok(Completion::ignored_with("it is slow: `eastwest run scenarios --slow` runs it"));
        }
        if soak {
            return Ok(Completion::ignored_with("it is a soak: `eastwest run scenarios --soak` runs it"));
        }
        if let Some(lack) = lack() {
            return Ok(Completion::ignored_with(lack));
        }
        let broken = || Failed::from("another trial broke down");
        if exclusive {
            let _held = alone.write().map_err(|_| broken())?;
            run(&file, number)
        } else {
            let _held = alone.read().map_err(|_| broken())?;
            run(&file, number)
        }
    })
}

/// What this machine lacks for a lab; looked at once.
fn lack() -> Option<&'static str> {
    static LACK: OnceLock<Option<String>> = OnceLock::new();
    let look = || {
        let output = eastwest().args(["doctor", "--format", "json"]).output().unwrap();
        let checks: Vec<Check> = serde_json::from_slice(&output.stdout).unwrap();
        let lacks = checks.iter().filter(|check| !check.ok).map(|check| format!("{}: {}", check.name, check.detail));
        let lacks: Vec<String> = lacks.collect();
        (!lacks.is_empty()).then(|| format!("this machine lacks {}", lacks.join("; ")))
    };
    LACK.get_or_init(look).as_deref()
}

fn run(file: &str, number: usize) -> Result<Completion, Failed> {
    let report = tempfile::tempdir().unwrap();
    let output = eastwest().args(["run", file, "--format", "json", "--report"]).arg(report.path()).output().unwrap();
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let came_to = |total: &str| object.pointer(total).and_then(serde_json::Value::as_u64) == Some(number as u64);
    if output.status.success() && came_to("/totals/passed") {
        return Ok(Completion::Completed);
    }
    if came_to("/totals/skipped") {
        return Ok(Completion::ignored_with("this machine lacks a program that it needs"));
    }
    let told = std::fs::read_to_string(report.path().join("report.txt")).unwrap_or_default();
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Failed::from(format!("{}\n{told}{complaint}", output.status)))
}

//! A scenario run under a lie, and what the run found.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed};
use serde_json::Value;

/// The arguments of a program whose trials wait for more time than they compute: twice as many at once as there are processors.
pub(crate) fn arguments() -> Arguments {
    let mut arguments = Arguments::from_args();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(2 * processors);
    arguments
}

/// What a run of one scenario told.
pub(crate) struct Told {
    pub(crate) findings: Vec<Value>,
    /// Why the scenario could not be carried out, and all findings, for people.
    pub(crate) shown: String,
    pub(crate) code: Option<i32>,
}

/// Runs one scenario and reads its report.
pub(crate) fn run(file: &Path, options: &[String]) -> Result<Told, Failed> {
    let command = Command::new(env!("CARGO_BIN_EXE_eastwest"))
        .args(["run", "--format", "json"])
        .arg(file)
        .args(options)
        .output()?;
    let said = String::from_utf8_lossy(&command.stdout);
    let report: Value = serde_json::from_str(&said)
        .map_err(|error| format!("{error}: {said}{}", String::from_utf8_lossy(&command.stderr)))?;
    let findings = report["scenarios"][0]["findings"].as_array().cloned().unwrap_or_default();
    let shown = format!("{}\n{}", report["scenarios"][0]["reason"], serde_json::to_string_pretty(&findings)?);
    Ok(Told { findings, shown, code: command.status.code() })
}

/// The options of a run in which agents (or that of one VM alone) are the saboteur of a kind.
pub(crate) fn by_agents(kind: &str, only: Option<&str>) -> Vec<String> {
    // The saboteur stands beside the command: both are built by one `cargo test --workspace`.
    let saboteur: PathBuf = Path::new(env!("CARGO_BIN_EXE_eastwest")).with_file_name("eastwest-saboteur");
    let options = [format!("--agent={}", saboteur.display()), format!("--agent-arg=--kind={kind}")];
    options.into_iter().chain(only.map(|vm| format!("--agent-only={vm}"))).collect()
}

/// The options of a run in which a part of the lab is broken.
pub(crate) fn by_lab(part: &str) -> Vec<String> {
    vec![format!("--sabotage={part}")]
}

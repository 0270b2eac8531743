//! Oracle against kernel: random policies on random topologies, every cell of both families judged by both.
//!
//! 50 policies by default; `EASTWEST_RANDOM=1000` is the soak, `EASTWEST_SEED` moves the series.

#![allow(clippy::unwrap_used, reason = "a test")]

mod generate;

use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};

/// States that share one topology; raising a lab costs more than changing its policy.
const POLICIES_PER_TOPOLOGY: usize = 10;

fn main() {
    let arguments = Arguments::from_args();
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let policies: usize = number("EASTWEST_RANDOM", 50);
    let first = number("EASTWEST_SEED", 1) as u64;
    let trials = (0..policies.div_ceil(POLICIES_PER_TOPOLOGY) as u64)
        .map(|index| Trial::test(format!("seed {}", first + index), move || agree(first + index)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Runs one random scenario; its expectations are all the oracle's.
fn agree(seed: u64) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("random-{seed}.yaml"));
    let text = generate::scenario(seed, POLICIES_PER_TOPOLOGY);
    std::fs::write(&file, &text).unwrap();
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
    if output.status.code() == Some(0) && cells >= POLICIES_PER_TOPOLOGY as u64 {
        return Ok(());
    }
    let kept = std::env::temp_dir().join(format!("eastwest-random-{seed}.yaml"));
    std::fs::write(&kept, text).unwrap();
    let findings = serde_json::to_string_pretty(&report).unwrap();
    Err(format!("exit {:?}, {cells} cells; kept as {}\n{findings}", output.status.code(), kept.display()).into())
}

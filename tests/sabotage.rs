//! The suite must catch a lying or lame agent: each lie and each condition brings about exactly its finding, and the
//! honest agent passes the same scenario.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};

/// How the world is made worse.
enum Lie {
    /// The agent of the VM `liar` is the saboteur of this kind.
    Agent(&'static str),
    /// The harness breaks a part of its own lab and does not tell its judge.
    Lab(&'static str),
    /// The scenario itself holds the condition.
    Scenario,
}

/// Each lie, the scenario in which it shows, and the findings' one kind.
const TABLE: &[(Lie, &str, &str)] = &[
    (Lie::Agent("first-rule-dropped"), "shielded", "leak"),
    (Lie::Agent("direction-swapped"), "directed", "overblock"),
    (Lie::Agent("default-allow"), "closed", "leak"),
    (Lie::Agent("revocation-ignored"), "revoked", "leak"),
    (Lie::Agent("report-silenced"), "closed", "unreported"),
    (Lie::Agent("wrong-rule-named"), "closed", "misattributed"),
    (Lie::Agent("wrong-end"), "closed", "misplaced"),
    (Lie::Agent("invented-records"), "open", "phantom"),
    (Lie::Agent("acks-before-commit"), "unchanged", "late"),
    (Lie::Agent("reject-as-deny"), "answered", "wrong-action"),
    (Lie::Agent("allow-unlogged"), "closed", "unreported"),
    (Lie::Agent("generation-stale"), "unchanged", "late"),
    (Lie::Lab("dead-listener"), "open", "refused"),
    (Lie::Lab("no-route"), "open", "unproven"),
    (Lie::Lab("frozen-agent"), "open", "unproven"),
    (Lie::Scenario, "empty", "not-run"),
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut honest = BTreeSet::new();
    for (lie, scenario, expected) in TABLE {
        let (options, name) = match lie {
            Lie::Agent(kind) => {
                let saboteur = saboteur().to_string_lossy().into_owned();
                let kind_option = format!("--agent-arg=--kind={kind}");
                (vec!["--agent".to_owned(), saboteur, kind_option, "--agent-only=liar".to_owned()], *kind)
            }
            Lie::Lab(part) => (vec![format!("--sabotage={part}")], *part),
            Lie::Scenario => (Vec::new(), *scenario),
        };
        if !matches!(lie, Lie::Scenario) && honest.insert(scenario) {
            trials.push(Trial::test(format!("honest {scenario}"), || check(scenario, &[], None)));
        }
        trials.push(Trial::test(format!("{name} gives {expected}"), move || check(scenario, &options, Some(expected))));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The saboteur stands beside the command: both are built by one `cargo test --workspace`.
fn saboteur() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_eastwest")).with_file_name("eastwest-saboteur")
}

/// Runs one scenario and compares the kinds of its findings with the one expected, or with none.
fn check(scenario: &str, options: &[String], expected: Option<&str>) -> Result<(), Failed> {
    let file = format!("{}/tests/sabotage/{scenario}.yaml", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_eastwest"))
        .args(["run", "--format", "json", &file])
        .args(options)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&said)
        .map_err(|error| format!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
    let findings = report["scenarios"][0]["findings"].as_array().cloned().unwrap_or_default();
    let kinds: BTreeSet<&str> = findings.iter().filter_map(|finding| finding["kind"].as_str()).collect();
    let code = output.status.code();
    if kinds == expected.into_iter().collect() && code == Some(i32::from(expected.is_some())) {
        return Ok(());
    }
    let shown = serde_json::to_string_pretty(&findings).unwrap();
    Err(format!("expected {expected:?}, found {kinds:?}, exit {code:?}\n{shown}").into())
}

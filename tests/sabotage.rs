//! The suite must catch a lying or lame agent: each lie and each condition brings about exactly its finding, and the
//! honest agent passes the same scenario.

#![allow(clippy::unwrap_used, reason = "a test")]

mod lying;

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::{Failed, Trial};

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
    (Lie::Agent("acks-early"), "unchanged", "late"),
    (Lie::Agent("reject-as-deny"), "answered", "wrong-action"),
    (Lie::Agent("allow-unlogged"), "closed", "unreported"),
    (Lie::Agent("generation-stale"), "unchanged", "late"),
    (Lie::Lab("dead-listener"), "open", "refused"),
    (Lie::Lab("mute-listener"), "open", "unproven"),
    (Lie::Lab("no-route"), "open", "unproven"),
    (Lie::Lab("link-down"), "open", "unproven"),
    (Lie::Lab("deaf-tap"), "open", "unproven"),
    (Lie::Lab("frozen-agent"), "open", "unproven"),
    (Lie::Agent("default-allow"), "programs", "leak"),
    (Lie::Agent("wrong-rule-named"), "programs", "misattributed"),
    (Lie::Scenario, "empty", "not-run"),
];

/// Each failure class, the lie (of every agent, or of the lab) that its scenario must catch, and a finding among those that
/// it brings. `docs/security.md` has the same pairs in words.
const CLASSES: [(&str, Lie, &str); 28] = [
    ("01-revoked-but-alive", Lie::Agent("revocation-ignored"), "misattributed"),
    ("02-innocent-survivor", Lie::Agent("change-closes"), "disturbed"),
    ("03-swap-window", Lie::Agent("change-closes"), "overblock"),
    ("04-apply-fails-midway", Lie::Agent("cut-short"), "unmet"),
    ("05-overlap-collapse", Lie::Agent("ranges-folded"), "leak"),
    ("06-agent-kill-9", Lie::Agent("opens-at-start"), "leak"),
    ("07-restart-before-sync", Lie::Agent("opens-at-start"), "misplaced"),
    ("08-born-closed", Lie::Agent("born-open"), "leak"),
    ("08-first-packets", Lie::Lab("born-wired"), "unmet"),
    ("09-deleted-while-away", Lie::Agent("revocation-ignored"), "leak"),
    ("10-half-open-link", Lie::Lab("whole-paths"), "unmet"),
    ("11-slow-agent", Lie::Agent("acks-unseen"), "unmet"),
    ("12-thundering-return", Lie::Agent("wiped-at-return"), "overblock"),
    ("13-address-reborn", Lie::Agent("revocation-ignored"), "leak"),
    ("14-cloned-vm", Lie::Agent("quarantine-ignored"), "misattributed"),
    ("15-spoofed-neighbour", Lie::Agent("sender-unchecked"), "unmet"),
    ("15-guarded-port", Lie::Lab("open-ports"), "unmet"),
    ("16-same-host-shortcut", Lie::Agent("default-allow"), "leak"),
    ("17-live-move", Lie::Agent("revocation-ignored"), "leak"),
    ("18-late-binding", Lie::Agent("revocation-ignored"), "overblock"),
    ("18-second-interface", Lie::Agent("destination-unchecked"), "leak"),
    ("19-fragments-and-icmp", Lie::Agent("default-allow"), "unmet"),
    ("20-log-storm", Lie::Agent("counts-untold"), "unmet"),
    ("21-report-continuity", Lie::Agent("told-twice"), "unmet"),
    ("22-clock-skew", Lie::Agent("until-ignored"), "leak"),
    ("23-tamper", Lie::Agent("tamper-untold"), "unmet"),
    ("24-too-big", Lie::Agent("cut-short"), "overblock"),
    ("25-inert-policy", Lie::Agent("default-allow"), "leak"),
];

/// Lies that the written order of a scenario's states does not bring to light, the order that does, and the findings' kind.
const ORDERS: [(&str, &str, &str); 3] = [
    ("change-closes", "shuffled", "overblock"),
    ("change-closes", "squashed", "overblock"),
    ("opens-at-start", "restarts", "misplaced"),
];

fn main() {
    let arguments = lying::arguments();
    let mut trials = Vec::new();
    let mut honest = BTreeSet::new();
    for (lie, scenario, expected) in TABLE {
        let (file, options) = (format!("tests/sabotage/{scenario}.yaml"), options(lie, Some("liar")));
        if !matches!(lie, Lie::Scenario) && honest.insert(scenario) {
            let file = file.clone();
            trials.push(Trial::test(format!("honest {scenario}"), move || exactly(&file, &[], None)));
        }
        let name = format!("{} gives {expected}", name(lie, scenario));
        trials.push(Trial::test(name, move || exactly(&file, &options, Some(expected))));
    }
    for (class, lie, expected) in &CLASSES {
        let (file, options) = (format!("scenarios/failure-classes/{class}.yaml"), options(lie, None));
        let name = format!("class {class} catches {}", name(lie, class));
        trials.push(Trial::test(name, move || among(&file, &options, expected)));
    }
    for (kind, order, expected) in ORDERS {
        let name = format!("{order} catches {kind}, which the written order does not");
        trials.push(Trial::test(name, move || ordered(kind, order, expected)));
    }
    trials.push(Trial::test("the docs tell of each class what the table does", told));
    libtest_mimic::run(&arguments, trials).exit();
}

/// `docs/security.md` has the pairs of the table.
fn told() -> Result<(), Failed> {
    let docs = include_str!("../docs/security.md");
    let missing = CLASSES.iter().map(|(class, lie, expected)| {
        let (number, rest) = class.split_once('-').unwrap();
        format!("| {} {rest} | `{}` | {expected} |", number.trim_start_matches('0'), name(lie, class))
    });
    let missing: Vec<String> = missing.filter(|row| !docs.contains(row.as_str())).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("docs/security.md does not say: {missing:#?}").into()) }
}

fn name(lie: &Lie, scenario: &str) -> String {
    match lie {
        Lie::Agent(kind) => (*kind).to_owned(),
        Lie::Lab(part) => (*part).to_owned(),
        Lie::Scenario => scenario.to_owned(),
    }
}

/// The options of a run in which the agents (or this one alone) or the lab lie.
fn options(lie: &Lie, only: Option<&str>) -> Vec<String> {
    match lie {
        Lie::Agent(kind) => lying::by_agents(kind, only),
        Lie::Lab(part) => lying::by_lab(part),
        Lie::Scenario => Vec::new(),
    }
}

/// The kinds of the findings of one scenario's run, in words what was found, and the run's exit code.
fn findings(file: &str, options: &[String]) -> Result<(BTreeSet<String>, String, Option<i32>), Failed> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let options: Vec<String> = options.iter().cloned().chain(["--fail-fast".to_owned()]).collect();
    let told = lying::run(&file, &options)?;
    let kinds = told.findings.iter().filter_map(|finding| Some(finding["kind"].as_str()?.to_owned())).collect();
    Ok((kinds, told.shown, told.code))
}

/// The findings are all of one kind, or there are none.
fn exactly(file: &str, options: &[String], expected: Option<&str>) -> Result<(), Failed> {
    let (kinds, shown, code) = findings(file, options)?;
    let wanted: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
    if kinds == wanted && code == Some(i32::from(expected.is_some())) {
        return Ok(());
    }
    Err(format!("expected {expected:?}, found {kinds:?}, exit {code:?}\n{shown}").into())
}

/// The lie passes in the written order; in the other it is found, and the honest agent passes there.
fn ordered(kind: &str, order: &str, expected: &str) -> Result<(), Failed> {
    let (file, lie) = ("tests/sabotage/orders.yaml", lying::by_agents(kind, Some("liar")));
    let order = ["--order", order, "--seed", "1"].map(str::to_owned);
    exactly(file, &lie, None)?;
    exactly(file, &order, None)?;
    exactly(file, &[lie.as_slice(), &order].concat(), Some(expected))
}

/// One of the findings is of this kind.
fn among(file: &str, options: &[String], expected: &str) -> Result<(), Failed> {
    let (kinds, shown, code) = findings(file, options)?;
    if kinds.contains(expected) && code == Some(1) {
        return Ok(());
    }
    Err(format!("expected {expected}, found {kinds:?}, exit {code:?}\n{shown}").into())
}

//! Faults of many kinds, each in scenarios made by a seed: every finding names where the cause lies. What makes a fault
//! and what diagnoses it share nothing but the words.

#![allow(clippy::unwrap_used, reason = "a test")]

mod lying;

use std::collections::BTreeSet;

use libtest_mimic::{Failed, Trial};

/// How a fault is made.
#[derive(Clone, Copy)]
enum Fault {
    /// The policy is written otherwise than its author meant: this text in place of that.
    Policy(&'static [(&'static str, &'static str)]),
    /// The agent of the VM `liar` is the saboteur of this kind.
    Agent(&'static str),
    /// A part of the lab is broken.
    Lab(&'static str),
}

/// Each kind of fault, and where its cause lies.
const FAULTS: [(&str, Fault, &str); 22] = [
    ("a rule is missing", Fault::Policy(&[("allow: tcp/LOW-HIGH", "allow: udp/LOW-HIGH")]), "policy"),
    ("a rule denies what it should allow", Fault::Policy(&[("allow: tcp/LOW-HIGH", "deny: tcp/LOW-HIGH")]), "policy"),
    ("a port is mistyped", Fault::Policy(&[("allow: tcp/LOW-HIGH", "allow: tcp/HIGH")]), "policy"),
    ("a label is mistyped", Fault::Policy(&[("LOW-HIGH\n  from: app = a", "LOW-HIGH\n  from: app = aa")]), "policy"),
    (
        "two rules stand in the wrong order",
        Fault::Policy(&[
            ("block\n  reject: tcp/SHUT", "first\n  allow: tcp/LOW-HIGH"),
            ("open\n  allow: tcp/LOW-HIGH", "block\n  reject: tcp/SHUT"),
            ("name: first", "name: open"),
        ]),
        "policy",
    ),
    ("a policy only monitors", Fault::Policy(&[("default: deny", "default: deny\nmode: monitor")]), "policy"),
    ("an agent leaves a rule out", Fault::Agent("first-rule-dropped"), "agent"),
    ("an agent takes one direction for the other", Fault::Agent("direction-swapped"), "agent"),
    ("an agent is open where no rule matches", Fault::Agent("default-allow"), "agent"),
    ("an agent keeps what was revoked", Fault::Agent("revocation-ignored"), "agent"),
    ("an agent acknowledges and does nothing", Fault::Agent("acks-before-commit"), "agent"),
    ("an agent does not report", Fault::Agent("report-silenced"), "agent"),
    ("an agent names another rule", Fault::Agent("wrong-rule-named"), "agent"),
    ("an agent names the other end", Fault::Agent("wrong-end"), "agent"),
    ("an agent drops what it should reject", Fault::Agent("reject-as-deny"), "agent"),
    ("an agent is frozen", Fault::Lab("frozen-agent"), "agent"),
    ("an agent acknowledges early", Fault::Agent("acks-early"), "late"),
    ("the path is cut", Fault::Lab("no-route"), "path"),
    ("the link is down", Fault::Lab("link-down"), "path"),
    ("nothing listens", Fault::Lab("dead-listener"), "listener"),
    ("the listener does not answer", Fault::Lab("mute-listener"), "listener"),
    ("a tap is deaf", Fault::Lab("deaf-tap"), "harness"),
];
/// Kinds that show at sessions, records and ports as well, and where the cause lies.
const BESIDE_FLOWS: [(&str, Fault, &str); 6] = [
    ("an agent keeps an open session", Fault::Agent("revocation-ignored"), "agent"),
    ("an agent does not tell what it cut", Fault::Agent("report-silenced"), "agent"),
    ("a session is kept by the policy", Fault::Policy(&[("REVOKED", "allow: tcp/LOW")]), "policy"),
    ("a record is expected that the policy does not make", Fault::Policy(&[("TOLD", "reject by block")]), "policy"),
    ("the path of a session is cut", Fault::Lab("no-route"), "path"),
    ("ports that are to be guarded are open", Fault::Lab("open-ports"), "harness"),
];

/// How many scenarios each fault is put into.
const SEEDS: u32 = 2;

const SCENARIO: &str = "\
eastwest: scenario/v1
name: NAME
topology:
  hosts: [h1, h2]
  vms:
    liar: {host: h1, labels: {app: a}}
    peer: {host: HOST, labels: {app: b}, agent: none}
    BYSTANDER: {host: h2, labels: {app: c}}
policy:
POLICY
steps:
  - name: first
    expect:
      - liar -> peer tcp/SHUT: reject by block at source
      - liar -> peer tcp/LOW: allow by open
      - liar -> peer tcp/NONE: deny by default at source
      - peer -> liar tcp/BACK: allow by back
";

const SESSIONS: &str = "\
eastwest: scenario/v1
name: NAME
topology:
  hosts: [h1, h2]
  ports: guarded
  vms:
    liar: {host: h1, labels: {app: a}}
    peer: {host: HOST, labels: {app: b}, agent: none}
    BYSTANDER: {host: h2, labels: {app: c}, addresses: [10.98.9.9]}
policy:
POLICY
steps:
  - name: first
    do:
      - open talk: liar -> peer tcp/LOW
      - send: {raw: \"udp NONE, spoofed source 10.98.9.9\", from: peer, to: liar, times: 3}
    expect:
      - talk: alive
      - \"reported: liar -> peer tcp/NONE TOLD at source\"
      - \"port peer: stopped 3\"
      - liar -> peer tcp/NONE: deny by default at source
  - name: later
    do:
      - policy:
          eastwest: policy/v1
          rules: [{name: other, REVOKED}]
          default: deny
    expect:
      - talk: cut by default at source
";

const LATER: &str = "  - name: later
    do:
      - policy:
POLICY
    expect:
      - liar -> peer tcp/SHUT: reject by block at source
      - liar -> peer tcp/LOW: deny by default at source
";

const POLICY: &str = "\
eastwest: policy/v1
rules:
- name: block
  reject: tcp/SHUT
  from: app = a
  to: app = b
- name: open
  allow: tcp/LOW-HIGH
  from: app = a
  to: app = b
- name: back
  allow: tcp/BACK
  from: app = b
  to: app = a
default: deny
";

fn main() {
    let arguments = lying::arguments();
    let mut trials = Vec::new();
    for seed in 0..SEEDS {
        trials.push(Trial::test(format!("no fault, seed {seed}"), move || check(None, seed, None)));
        for (name, fault, blame) in FAULTS {
            let name = format!("{name}, seed {seed}: {blame}");
            trials.push(Trial::test(name, move || check(Some(fault), seed, Some(blame))));
        }
        trials.push(Trial::test(format!("no fault beside flows, seed {seed}"), move || beside(None, seed, None)));
        for (name, fault, blame) in BESIDE_FLOWS {
            let name = format!("{name}, seed {seed}: {blame}");
            trials.push(Trial::test(name, move || beside(Some(fault), seed, Some(blame))));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn check(fault: Option<Fault>, seed: u32, blame: Option<&str>) -> Result<(), Failed> {
    run(&scenario(fault, seed), fault, blame)
}

/// The same in a scenario of sessions, records and ports.
fn beside(fault: Option<Fault>, seed: u32, blame: Option<&str>) -> Result<(), Failed> {
    let mut text = SESSIONS.replacen("POLICY\n", &indented(POLICY, 2), 1);
    if let Some(Fault::Policy(changes)) = fault {
        text = changes.iter().fold(text, |text, (from, to)| text.replacen(from, to, 1));
    }
    let text = text.replace("REVOKED", "allow: udp/LOW").replace("TOLD", "deny by default");
    run(&filled(text, seed), fault, blame)
}

/// Each finding of the scenario has this diagnosis; without a fault there is none.
fn run(text: &str, fault: Option<Fault>, blame: Option<&str>) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fault.yaml");
    std::fs::write(&file, text).unwrap();
    let told = lying::run(&file, &fault.map(options).unwrap_or_default())?;
    let blamed: BTreeSet<&str> =
        told.findings.iter().map(|one| one["diagnosis"].as_str().unwrap_or("nobody")).collect();
    if blamed == blame.into_iter().collect() && told.code == Some(i32::from(blame.is_some())) {
        return Ok(());
    }
    Err(format!("blamed {blamed:?}, exit {:?}\n{}", told.code, told.shown).into())
}

/// The scenario with a fault in its policy, if that is where it is; ports and hosts follow from the seed.
fn scenario(fault: Option<Fault>, seed: u32) -> String {
    let mut policy = POLICY.to_owned();
    if let Some(Fault::Policy(changes)) = fault {
        for (from, to) in changes {
            assert!(policy.contains(from), "the fault changes nothing: {from}");
            policy = policy.replacen(from, to, 1);
        }
    }
    let revoked = indented(&POLICY.replacen("allow: tcp/LOW-HIGH", "allow: udp/LOW", 1), 10);
    let mut text = SCENARIO.replacen("POLICY\n", &indented(&policy, 2), 1);
    if matches!(fault, Some(Fault::Agent("revocation-ignored" | "acks-before-commit" | "acks-early"))) {
        text.push_str(&LATER.replacen("POLICY\n", &revoked, 1));
    }
    filled(text, seed)
}

/// A scenario's text with names, ports and hosts of its own.
fn filled(text: String, seed: u32) -> String {
    let low = 1000 + 7919 * seed % 40_000;
    // Longer names first: none is a part of one that comes later.
    let names = [
        ("LOW", low.to_string()),
        ("HIGH", (low + 4).to_string()),
        ("SHUT", (low + 2).to_string()),
        ("NONE", (low + 9).to_string()),
        ("BACK", (low + 11).to_string()),
        ("HOST", ["h1", "h2"][seed as usize % 2].to_owned()),
        ("BYSTANDER", format!("other-{seed}")),
        ("NAME", format!("a fault, seed {seed}")),
    ];
    names.iter().fold(text, |text, (name, value)| text.replace(name, value))
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

fn options(fault: Fault) -> Vec<String> {
    match fault {
        Fault::Policy(_) => Vec::new(),
        Fault::Agent(kind) => lying::by_agents(kind, Some("liar")),
        Fault::Lab(part) => lying::by_lab(part),
    }
}

//! `prove` finds what a compiler does wrong, without being told where: each bug is planted in every agent.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};

/// Every bug that the saboteur's compiler can have.
const BUGS: [&str; 14] = [
    "range-end-lost",
    "range-start-lost",
    "last-service-lost",
    "udp-as-tcp",
    "icmpv6-lost",
    "last-peer-lost",
    "exceptions-lost",
    "outside-lost",
    "deny-first",
    "last-rule-lost",
    "pass-lost",
    "pass-leaves-all",
    "monitor-acts",
    "outbound-as-inbound",
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = BUGS.iter().map(|bug| Trial::test(format!("finds {bug}"), || found(bug))).collect();
    trials.push(Trial::test("an honest agent passes, and every rule is covered", honest));
    trials.push(Trial::test("by the oracle the same rules are covered", by_model));
    libtest_mimic::run(&arguments, trials).exit();
}

fn prove(options: &[String]) -> Result<(Option<i32>, String), Failed> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prove/whole.yaml");
    let command = Command::new(env!("CARGO_BIN_EXE_eastwest"))
        .args(["prove", "--seed", "1", "--strict"])
        .arg(file)
        .args(options)
        .output()?;
    let said = [command.stdout, command.stderr].concat();
    Ok((command.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

fn found(bug: &str) -> Result<(), Failed> {
    // The saboteur stands beside the command: both are built by one `cargo test --workspace`.
    let saboteur = Path::new(env!("CARGO_BIN_EXE_eastwest")).with_file_name("eastwest-saboteur");
    let options = [format!("--agent={}", saboteur.display()), format!("--agent-arg=--bug={bug}")];
    let (code, said) = prove(&options)?;
    let told = ["leak", "overblock", "misattributed", "misplaced", "wrong-action", "phantom"];
    if code == Some(1) && told.iter().any(|kind| said.contains(kind)) {
        return Ok(());
    }
    Err(format!("exit {code:?}\n{said}").into())
}

fn honest() -> Result<(), Failed> {
    covered(&[])
}

fn by_model() -> Result<(), Failed> {
    covered(&["--model".to_owned()])
}

fn covered(options: &[String]) -> Result<(), Failed> {
    let (code, said) = prove(options)?;
    let whole = "rule coverage: 13 of 13 rules, 100.0 %";
    if code == Some(0) && said.contains(whole) { Ok(()) } else { Err(format!("exit {code:?}\n{said}").into()) }
}

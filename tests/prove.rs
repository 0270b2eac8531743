//! `prove` finds what a compiler does wrong, without being told where: each bug is planted in every agent. And `mutate` finds
//! what a suite does not notice, with an expectation for each that does.

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
    trials.push(Trial::test("what a suite does not notice it does with what is told to paste", pasted));
    trials.push(Trial::test("packets notice what the model does", on_packets));
    trials.push(Trial::test("the shipped suite notices 95 of 100 changes", shipped_mutation));
    trials.push(Trial::test("the shipped suite covers every rule", shipped_coverage));
    libtest_mimic::run(&arguments, trials).exit();
}

fn eastwest(args: &[&str]) -> Result<(Option<i32>, String), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let command = Command::new(env!("CARGO_BIN_EXE_eastwest")).current_dir(folder).args(args).output()?;
    let said = [command.stdout, command.stderr].concat();
    Ok((command.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

/// The command ends so, and says this.
fn says(args: &[&str], code: i32, part: &str) -> Result<String, Failed> {
    let (found, said) = eastwest(args)?;
    if found == Some(code) && said.contains(part) { Ok(said) } else { Err(format!("exit {found:?}\n{said}").into()) }
}

fn pasted() -> Result<(), Failed> {
    let lax = "tests/prove/lax.yaml";
    let said = says(&["mutate", lax, "--format", "json"], 1, "")?;
    let report: serde_json::Value = serde_json::from_str(&said)?;
    let trials = report["trials"].as_array().ok_or("trials")?;
    let count = |fate: &str| trials.iter().filter(|trial| trial["fate"] == fate).count();
    if count("survived") < 10 || count("elsewhere") < 1 || count("equivalent") < 1 || count("killed") < 5 {
        return Err(said.into());
    }
    let mut text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(lax))?;
    let mut paste: Vec<&str> = trials
        .iter()
        .filter(|trial| trial["fate"] == "survived")
        .filter_map(|trial| trial["expectation"].as_str())
        .collect();
    paste.sort_unstable();
    paste.dedup();
    paste.iter().for_each(|line| text.push_str(&format!("      - {line}\n")));
    let folder = tempfile::tempdir()?;
    let strict = folder.path().join("strict.yaml");
    std::fs::write(&strict, &text)?;
    let strict = strict.to_str().ok_or("a path of text")?;
    says(&["mutate", strict], 0, "mutation score: 100.0 %").map_err(|error| format!("{error:?}\n{text}"))?;
    says(&["run", strict], 0, "1 passed").map(drop)
}

fn on_packets() -> Result<(), Failed> {
    let args = ["mutate", "tests/prove/lax.yaml", "--at-least", "0", "--packets", "8", "--seed", "3"];
    says(&args, 0, "on packets, seed 3: 8 of 8 as the model says").map(drop)
}

fn shipped_mutation() -> Result<(), Failed> {
    says(&["mutate", "scenarios", "--at-least", "95"], 0, "mutation score").map(drop)
}

fn shipped_coverage() -> Result<(), Failed> {
    says(&["prove", "scenarios", "--model", "--strict"], 0, "100.0 %").map(drop)
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

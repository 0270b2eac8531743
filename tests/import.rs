//! What is imported is enforced as it is meant: on real packets, by the command that ships.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and one that cannot begin says why"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Cases of `import/tests/kubernetes`: selectors, ports, ranges, both directions, and all tiers.
const CASES: [&str; 7] = [
    "admin-networks",
    "block-except",
    "deny-all-and-one-allow",
    "manifests-without-addresses",
    "named-port-differs-by-pod",
    "three-tiers",
    "two-families",
];
const SERVICES: &str = "tcp/80,tcp/2000,tcp/5432,tcp/8080,tcp/8081,udp/53,udp/8080";

fn eastwest(args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not read its input is none the worse for it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The standard output of a command that ends well.
fn good(args: &[&str], input: &str) -> String {
    let output = eastwest(args, input);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A case, and what it is imported with.
fn files(case: &str) -> Vec<String> {
    let folder = Path::new("import/tests/kubernetes");
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{case}.yaml"))).unwrap();
    let with = text.lines().filter_map(|line| line.strip_prefix("# with: ")).map(str::to_owned);
    with.chain([format!("{case}.yaml")]).map(|name| folder.join(name).display().to_string()).collect()
}

fn imported(case: &str) -> String {
    let files = files(case);
    let mut args = vec!["import", "kubernetes", "--hosts", "2"];
    args.extend(files.iter().map(String::as_str));
    good(&args, "")
}

fn cells(scenario: &str, how: &str) -> Vec<Value> {
    let text = good(&["reach", "-", "--services", SERVICES, "--format", "json", how], scenario);
    serde_json::from_str::<Value>(&text).unwrap()["cells"].as_array().unwrap().clone()
}

#[test]
fn packets_meet_what_the_policies_mean() {
    if !eastwest(&["doctor"], "").status.success() {
        eprintln!("skipped: this machine lacks what a lab needs");
        return;
    }
    for case in CASES {
        let scenario = imported(case);
        let (model, packets) = (cells(&scenario, "--model"), cells(&scenario, "--packets"));
        assert!(model.len() >= 14, "{case}: only {} cells", model.len());
        for verdict in ["allow", "deny"] {
            assert!(model.iter().any(|cell| cell["verdict"] == verdict), "{case}: no {verdict}");
        }
        let unlike: Vec<_> = model.iter().zip(&packets).filter(|(model, packets)| model != packets).collect();
        assert!(unlike.is_empty() && model.len() == packets.len(), "{case}: {unlike:#?}");
    }
}

#[test]
fn an_import_runs_as_it_is() {
    if !eastwest(&["doctor"], "").status.success() {
        eprintln!("skipped: this machine lacks what a lab needs");
        return;
    }
    let text = good(&["run", "-"], &imported("policies-add-up"));
    assert!(text.contains("1 passed, 0 failed") && text.contains("0 findings"), "{text}");
    let account = good(&["import", "aws-security-groups", "import/tests/aws/three-tiers.yaml"], "");
    let text = good(&["run", "-"], &account);
    assert!(text.contains("1 passed, 0 failed") && text.contains("0 findings"), "{text}");
}

#[test]
fn what_cannot_be_carried_is_wrong_input_at_its_place() {
    let output = eastwest(&["import", "kubernetes", "import/tests/bad/kubernetes/sctp-port.yaml"], "");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty(), "{text}");
    assert!(text.contains("sctp-port.yaml:8:13") && text.contains("help: leave `port` out"), "{text}");
    let output = eastwest(&["import", "kubernetes", "none.yaml"], "");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn what_is_left_out_is_told_beside_the_scenario() {
    let files = files("bystanders");
    let args: Vec<&str> = ["import", "kubernetes"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = eastwest(&args, "");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("left out: 2 Service, which no policy speaks of"), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("# Imported from Kubernetes."), "{}", said(&output));
}

//! `eastwest replay`: recordings of each format before a draft, and what is said of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const INVENTORY: &str = "\
topology:
  hosts: [rack]
  managed: [10.98.0.0/16, \"fd98::/48\"]
  vms:
    web: {host: rack, labels: {app: web}, addresses: [10.98.0.1, \"fd98::1\"]}
    db: {host: rack, labels: {app: db}, addresses: [10.98.0.2, \"fd98::2\"]}
    ops: {host: rack, labels: {app: ops}, addresses: [10.98.0.3, \"fd98::3\"]}
";
const DRAFT: &str = "\
eastwest: policy/v1
rules:
  - {name: web-to-db, allow: [tcp/443, tcp/5432], from: app = web, to: app = db}
  - {name: ping, allow: [icmp/echo-request, icmpv6/echo-request]}
  - {name: idle, allow: tcp/9}
default: deny
";
const IN_FORCE: &str = "\
eastwest: policy/v1
rules:
  - {name: web-to-db, allow: tcp/5432, from: app = web, to: app = db}
  - {name: dns, allow: udp/53}
default: deny
";

/// A folder with the files above.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("inventory.yaml", INVENTORY), ("draft.yaml", DRAFT), ("in-force.yaml", IN_FORCE)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/tests/samples").join(name).display().to_string()
}

fn run(folder: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder).args(args).env_remove("EASTWEST_LOG");
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // Who ends early reads no more.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Runs a command that ends with this code and says all of this, on standard output or standard error.
fn check(args: &[&str], input: &[u8], code: i32, said: &[&str]) -> String {
    let folder = folder();
    let output = run(folder.path(), args, input);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{out}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {all}");
    for part in said {
        assert!(all.contains(part), "{args:?} does not say {part:?}: {all}");
    }
    out
}

#[test]
fn each_format_is_told_by_its_first_bytes_and_judged() {
    let rows: [(&str, &[&str]); 8] = [
        ("own.jsonl", &["4 flows from 11 lines (json), 5 of them could not be read", "line 7: `port` is not a port"]),
        ("center.jsonl", &["(center)", "allow by web-to-db", "records that are about no single flow: 2"]),
        (
            "vpc-v2.log",
            &["(vpc)", "web -> ops udp/123: deny by default at source", "direction was told by their ports alone: 5"],
        ),
        ("zeek.log", &["(zeek)", "Zeek turned around by a guess: 1"]),
        ("zeek.jsonl", &["(zeek)", "allow by ping"]),
        (
            "conntrack.txt",
            &["(conntrack)", "web -> unknown in 10.98.0.0/24 udp/53: deny by eastwest/unknown at source"],
        ),
        ("frames.pcap", &["9 flows from 19 packets (pcap)", "ops -> db tcp/22: deny by default at source"]),
        ("frames.pcapng", &["4 flows from 5 packets (pcap)", "no flow was decided by idle"]),
    ];
    for (name, said) in rows {
        check(&["replay", "draft.yaml", &sample(name), "--inventory", "inventory.yaml"], b"", 0, said);
    }
}

#[test]
fn what_changes_is_said_and_ends_with_1() {
    let files =
        ["replay", "draft.yaml", &sample("conntrack.txt"), &sample("frames.pcap"), "--inventory", "inventory.yaml"];
    let args = [&files[..], &["--against", "in-force.yaml"]].concat();
    let said =
        ["newly intercepted (", "; it was allow by dns", "newly allowed (", "; it was deny by default at source"];
    check(&args, b"", 1, &said);
    let same = [&files[..], &["--against", "draft.yaml"]].concat();
    check(&same, b"", 0, &["judged alike: 14 flows"]);
}

#[test]
fn a_suggestion_is_a_policy_that_allows_what_was_seen() {
    let folder = folder();
    let flows = sample("vpc-v2.log");
    let args = ["replay", "draft.yaml", &flows, "--inventory", "inventory.yaml", "--suggest"];
    let suggestion = run(folder.path(), &args, b"");
    let text = String::from_utf8(suggestion.stdout).unwrap();
    assert!(text.starts_with("# A suggestion from recorded traffic; read it before use."), "{text}");
    fs::write(folder.path().join("suggestion.yaml"), &text).unwrap();
    let checked = run(folder.path(), &["check", "suggestion.yaml", "--inventory", "inventory.yaml"], b"");
    assert_eq!(checked.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&checked.stdout));
    let args = ["replay", "suggestion.yaml", &flows, "--inventory", "inventory.yaml"];
    let again = String::from_utf8(run(folder.path(), &args, b"").stdout).unwrap();
    assert!(again.contains("4 flows") && again.contains("3 would be allowed, 1 intercepted"), "{again}");
    assert!(!again.contains("recorded as passed, would be intercepted"), "{again}");
}

#[test]
fn standard_input_and_json() {
    let flow = br#"{"source":"10.98.0.1","destination":"10.98.0.2","protocol":"tcp","port":5432}"#;
    let args = ["replay", "draft.yaml", "-", "--inventory", "inventory.yaml", "--format", "json"];
    let out = check(&args, flow, 0, &[]);
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["recordings"][0]["format"], "json");
    assert_eq!(found["pairs"][0]["source"], "web");
    assert_eq!(found["pairs"][0]["rule"], "web-to-db");
    assert_eq!(found["all"]["allowed"], 1);
    assert_eq!(found["unused"], serde_json::json!(["ping", "idle"]));
}

#[test]
fn what_cannot_be_replayed_is_said() {
    check(
        &["replay", "draft.yaml", "-"],
        b"hello\n",
        2,
        &["cannot read -: its format is not known", "--from names one"],
    );
    check(&["replay", "draft.yaml", "nowhere.log"], b"", 2, &["cannot read nowhere.log"]);
    check(&["replay", "draft.yaml", "-", "--from", "netflow"], b"", 2, &["there is no format `netflow`"]);
    check(&["replay", "draft.yaml", "-", "--from", "json"], b"hello\n", 1, &["0 flows", "not one whole JSON object"]);
    let flow = br#"{"source":"10.98.0.1","destination":"10.98.0.2","protocol":"tcp","port":1}"#;
    check(&["replay", "draft.yaml", "-"], flow, 0, &["no VM is known", "allow (no agent judges)"]);
}

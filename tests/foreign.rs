//! Others' enforcement: rulesets that `nft` loads and programs, judged on real packets by the command that ships.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and one that cannot begin says why"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const RULESET: &str = "
table inet own {
    chain input {
        type filter hook input priority filter; policy drop;
        iif lo accept
        ct state established accept
        tcp dport 80 accept
    }
    chain output {
        type filter hook output priority filter; policy drop;
        oif lo accept
        ct state established accept
        tcp dport 80 accept
    }
}
";

const PROGRAM: &str = "
eastwest: scenario/v1
name: a program enforces
topology:
  hosts: [h1]
  vms:
    one: {host: h1, agent: none}
    two: {host: h1, agent: {exec: [./program]}}
policy:
  rules:
    - {name: web, allow: tcp/80}
  default: deny
steps:
  - name: it holds
    expect:
      - one -> two tcp/80: allow by web
      - one -> two tcp/22: deny by default at destination
      - two -> one tcp/80: allow by web
";

fn eastwest(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn has(program: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin"].iter().any(|folder| Path::new(folder).join(program).exists())
}

/// Whether a lab can be raised here and `nft` is there; what is lacking is told.
fn can_run() -> bool {
    let nft = ["nft", "/usr/sbin/nft"].iter().any(|nft| Command::new(nft).arg("--version").output().is_ok());
    let lab = eastwest(root(), &["doctor"]).status.success();
    if !(nft && lab) {
        eprintln!("skipped: this machine lacks {}", if nft { "what a lab needs" } else { "nft" });
    }
    nft && lab
}

/// Runs a scenario with a program of this text beside it.
fn with_program(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("two.yaml"), PROGRAM).unwrap();
    fs::write(folder.path().join("own.nft"), RULESET).unwrap();
    let program = folder.path().join("program");
    fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    eastwest(folder.path(), &["run", "two.yaml"])
}

#[test]
fn a_ruleset_that_does_what_the_policy_means_passes() {
    if !can_run() {
        return;
    }
    let run = eastwest(root(), &["run", "scenarios/foreign"]);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let text = said(&run);
    let ufw =
        if has("ufw") { "4 passed, 0 failed, 0 error, 0 skipped" } else { "3 passed, 0 failed, 0 error, 1 skipped" };
    assert!(text.contains(ufw), "{text}");
    // Silence that is met twice is no probe that was undecided.
    assert!(text.contains("0 again, 0 by clock"), "{text}");
}

#[test]
fn a_ruleset_with_a_mistake_leaks_exactly_there() {
    if !can_run() {
        return;
    }
    let run = eastwest(root(), &["run", "tests/foreign/too-wide.yaml"]);
    let text = said(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    let leaks = |line: &&str| line.trim_start().starts_with("leak ") && line.contains("hr-1 -> fin-db tcp/5432  v4");
    assert_eq!(text.lines().filter(leaks).count(), 1, "{text}");
    assert!(text.contains("`fin-db` is enforced by others: no record exists for this VM"), "{text}");
    assert!(text.contains("60 cells, 1 finding,"), "{text}");
}

/// Runs a scenario of the folder of examples with one of the files that it names changed.
fn with_change(scenario: &str, (file, from, to): (&str, &str, &str)) -> Output {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(root().join("scenarios/foreign")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let text = fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(folder.path().join(file), text.replace(from, to)).unwrap();
    eastwest(folder.path(), &["run", scenario])
}

#[test]
fn a_session_that_others_do_not_cut_leaks() {
    if !can_run() {
        return;
    }
    let established =
        "add rule inet own input ct state established accept\nadd rule inet own output ct state established accept\n";
    let closed = "flush chain inet own output\n";
    let run = with_change("cut.yaml", ("closed.nft", closed, &format!("{closed}{established}")));
    let text = said(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    for leak in ["ledger", "datagrams"] {
        assert!(text.contains(&format!(" `{leak}: cut by closed at destination`")), "{text}");
    }
    assert!(text.contains("agent wrong: the policy forbids it, and what enforces at its ends let it go on"), "{text}");
    // It cuts what the policy permits.
    let run = with_change(
        "cut.yaml",
        (
            "cut.yaml",
            "rules: [{name: closed, deny: [tcp/5432, udp/5432], to: app = db}]",
            "rules: [{name: closed, allow: [tcp/5432, udp/5432]}]",
        ),
    );
    let text = said(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    assert!(text.contains("misplaced") && text.contains("it was cut at the destination, which permits it"), "{text}");
}

#[test]
fn ufw_that_is_opened_too_far_leaks() {
    if !can_run() || !has("ufw") {
        eprintln!("skipped: ufw is not installed");
        return;
    }
    let run = with_change("ufw.yaml", ("ufw.sh", "from \"$1\" to any port 5432", "from any to any port 5432"));
    let text = said(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    let leaks = |line: &&str| line.trim_start().starts_with("leak ") && line.contains("hr-1 -> fin-db tcp/5432  v4");
    assert_eq!(text.lines().filter(leaks).count(), 1, "{text}");
}

#[test]
fn what_a_program_needs_and_is_not_installed_skips_the_scenario() {
    let run = with_change("ufw.yaml", ("ufw.yaml", "needs: [ufw, iptables]", "needs: [no-such-firewall]"));
    let text = said(&run);
    assert!(text.contains("`fin-db` cannot be enforced at: the program `no-such-firewall` is not installed"), "{text}");
    assert!(text.contains("0 passed, 0 failed, 0 error, 1 skipped"), "{text}");
}

#[test]
fn what_nft_refuses_is_wrong_input_in_its_own_words() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| fs::copy(root().join("scenarios/foreign").join(from), folder.path().join(to));
    copy("ledger.yaml", "ledger.yaml").and_then(|_| copy("ledger-policy.yaml", "ledger-policy.yaml")).unwrap();
    let good = fs::read_to_string(root().join("scenarios/foreign/ledger.nft")).unwrap();
    fs::write(folder.path().join("ledger.nft"), good.replace("tcp dport 5432 accept", "tcp dport 5432 acept")).unwrap();
    let run = eastwest(folder.path(), &["run", "ledger.yaml"]);
    let text = said(&run);
    assert_eq!(run.status.code(), Some(2), "{text}");
    assert!(text.contains("load the ruleset ledger.nft of fin-db, which `nft` refuses"), "{text}");
    assert!(text.contains("ledger.nft:8:") && text.contains("Error: syntax error"), "{text}");
    assert!(text.contains("0 passed, 0 failed, 1 error"), "{text}");
}

#[test]
fn a_program_is_ready_by_a_line_or_by_its_end() {
    if !can_run() {
        return;
    }
    let nft = "PATH=$PATH:/usr/sbin; nft -f own.nft";
    for text in [
        nft.to_owned(),
        format!("{nft}; echo ready; exec sleep 1000"),
        // What it writes on is read on.
        format!("{nft}; echo ready; while echo more and more and more; do :; done"),
    ] {
        let run = with_program(&text);
        assert_eq!(run.status.code(), Some(0), "{text}: {}", said(&run));
    }
}

#[test]
fn a_program_that_fails_is_an_error_in_its_own_words() {
    if !can_run() {
        return;
    }
    let rows = [
        ("echo no rules today >&2; exit 3", "exit status 3: no rules today"),
        // Whether it was ready or failed first, the machine decides.
        ("echo ready; echo I give up >&2; exit 4", "I give up"),
        ("exec /none/such", "start ./program in two"),
    ];
    for (text, words) in rows {
        let run = with_program(text);
        let said = said(&run);
        assert_eq!(run.status.code(), Some(1), "{text}: {said}");
        assert!(said.contains(words) && said.contains("0 passed, 0 failed, 1 error"), "{text}: {said}");
    }
}

#[test]
fn a_program_that_sets_nothing_up_is_found_out() {
    if !can_run() {
        return;
    }
    let run = with_program("true");
    let text = said(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    let leaks = |line: &str| line.trim_start().starts_with("leak ") && line.contains("one -> two tcp/22");
    assert!(text.lines().any(leaks), "{text}");
}

#[test]
fn without_nft_a_ruleset_is_skipped_and_not_passed() {
    let hidden =
        "for nft in /usr/sbin/nft /sbin/nft; do [ ! -e $nft ] || mount --bind /dev/null $nft; done; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", hidden, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_eastwest")).args(["run", "scenarios/foreign/ledger.yaml"]);
    let run = command.current_dir(root()).env("PATH", "/bin:/usr/bin").output();
    let Some(run) = run.ok().filter(|run| !said(run).contains("unshare")) else {
        eprintln!("skipped: `unshare` cannot hide nft here");
        return;
    };
    let text = said(&run);
    assert!(text.contains("SKIP") && text.contains("the program `nft` is not installed"), "{text}");
    assert!(text.contains("0 passed, 0 failed, 0 error, 1 skipped"), "{text}");
}

//! The command line: what it says and how it ends, without a lab.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const POLICY: &str = "\
eastwest: policy/v1
groups:
  ghosts: dept = ghosts
rules:
  - {name: no-telnet, deny: tcp/23}
  - {name: hr-web, allow: tcp/80, from: dept = hr, to: app = web}
default: deny
";

const SCENARIO: &str = "\
eastwest: scenario/v1
name: small
topology:
  hosts: [rack]
  vms:
    hr: {host: rack, labels: {dept: hr}}
    web: {host: rack, labels: {app: web}}
policy: policy.yaml
steps:
  - name: the policy holds
    expect:
      - hr -> web tcp/80: allow by hr-web
      - web -> hr tcp/80: deny by default at source
";

/// A folder with a policy, a scenario that agrees with it, one that does not, a slow one and one with a mistake.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("policy.yaml", POLICY);
    write("idle.yaml", &POLICY.replace("from: dept = hr", "from: ghosts"));
    write(
        "late.yaml",
        &POLICY.replace("no-telnet, deny: tcp/23", "all-web, allow: tcp/80").replace("hr-web, allow", "hr-web, deny"),
    );
    write(
        "claims.yaml",
        &format!("{POLICY}tests:\n  - \"hr -> web tcp/80: deny\"\n  - \"vms -> vms tcp/23: deny by no-telnet\"\n"),
    );
    write(
        "good/base.yaml",
        "eastwest: policy/v1\nrules:\n  - name: r\n    deny: tcp/1\ntests:\n  - any -> vms tcp/1: deny by r\n",
    );
    write("named.yaml", &POLICY.replace("rules:\n", "services: {web: [tcp/80, tcp/23]}\nrules:\n"));
    write("spaced.yaml", "eastwest: policy/v1\ndefault:   deny\n");
    write("bad-policy.yaml", &POLICY.replace("deny: tcp/23", "dny: tcp/23"));
    write("good/policy.yaml", POLICY);
    write("good/small.yaml", SCENARIO);
    write("good/deep/policy.yaml", POLICY);
    write("good/deep/slow.yaml", &SCENARIO.replace("name: small", "name: slow one\nslow: true"));
    write("long/policy.yaml", POLICY);
    write("long/one.yaml", &SCENARIO.replace("name: small", "name: long one\nslow: true"));
    write("wrong/policy.yaml", POLICY);
    write("wrong/wrong.yaml", &SCENARIO.replace("allow by hr-web", "deny by no-telnet"));
    write("axes/policy.yaml", POLICY);
    write("axes/axes.yaml", &SCENARIO.replace("topology:", "axes: {family: [v4, v6]}\ntopology:"));
    write(
        "axes/wrong.yaml",
        &SCENARIO
            .replace("topology:", "axes: {family: [v4, v6]}\ntopology:")
            .replace("allow by hr-web", "deny by no-telnet v4"),
    );
    write("no-six/policy.yaml", POLICY);
    write(
        "no-six/no-six.yaml",
        &SCENARIO
            .replace("topology:", "axes: {family: [v6]}\ntopology:")
            .replace("{dept: hr}", "{dept: hr}, addresses: [10.1.1.1]"),
    );
    write("broken/broken.yaml", &SCENARIO.replace("host: rack, labels: {dept: hr}", "hots: rack"));
    write("empty/policy.yaml", POLICY);
    let topology = SCENARIO.lines().skip_while(|line| !line.starts_with("topology:"));
    let inside = POLICY.lines().map(|line| format!("  {line}\n")).collect::<String>();
    write("inside.yaml", &SCENARIO.replace("policy: policy.yaml\n", &format!("policy:\n{inside}")));
    write(
        "bare.yaml",
        &SCENARIO
            .replace("policy: policy.yaml\n", "")
            .replace("allow by hr-web", "deny at source")
            .replace(" by default", ""),
    );
    write("torn.yaml", "topology:\n  hosts: [rack\n  vms: {}\n");
    write("topology.yaml", &topology.take_while(|line| !line.starts_with("policy:")).collect::<Vec<_>>().join("\n"));
    folder
}

fn eastwest(folder: &Path, args: &str, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder).args(args.split_whitespace());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A row: the arguments, the exit code, and what the output, both streams together, holds.
fn check(folder: &Path, (args, code, holds): (&str, i32, &[&str])) {
    let Output { status, stdout, stderr } = eastwest(folder, args, "");
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "`{args}` said:\n{text}");
    for part in holds {
        assert!(text.contains(part), "`{args}` does not say `{part}`:\n{text}");
    }
    assert!(!text.contains('\x1b'), "`{args}` writes colours to a pipe:\n{text}");
}

/// A command line, how it ends, and parts of what it says.
type Row = (&'static str, i32, &'static [&'static str]);

const ROWS: [Row; 94] = [
    ("--help", 0, &["Usage: eastwest <COMMAND>", "Exit codes"]),
    ("run --help", 0, &["Examples:", "--seed"]),
    ("center events --help", 0, &["--follow"]),
    ("fly", 2, &["unrecognized subcommand 'fly'"]),
    ("run --jobs 0", 2, &["--jobs"]),
    ("list good", 0, &["small  (good/small.yaml: 1 step)", "slow one  (good/deep/slow.yaml: 1 step, slow)"]),
    ("list good --filter slow", 0, &["slow one"]),
    ("list good --filter s*l", 0, &["small"]),
    ("list good --filter nothing", 2, &["cannot find a scenario whose name or file matches `nothing`"]),
    ("list empty", 2, &["cannot find a scenario in empty", "eastwest: scenario/v1"]),
    ("list absent", 2, &["cannot read absent: No such file"]),
    ("list broken", 2, &["hots", "broken/broken.yaml:6:"]),
    ("run good --model", 0, &["PASS", "small", "SKIP", "it is slow: `--slow` runs it", "1 passed", "1 skipped"]),
    ("run good/deep/slow.yaml --model", 0, &["1 passed", "0 skipped"]),
    ("run good --slow --model", 0, &["2 scenarios: 2 passed", "0 skipped"]),
    ("run good/deep --model", 0, &["slow one", "1 passed", "0 skipped"]),
    ("run good long --model", 0, &["SKIP", "slow one", "long one", "2 passed", "1 skipped"]),
    ("run good good/deep --model", 0, &["2 scenarios: 2 passed"]),
    ("run good --filter slow --model", 0, &["SKIP", "slow one", "0 passed", "1 skipped"]),
    ("run wrong --model", 1, &["FAIL", "disagreement", "wrong/wrong.yaml:12", "deny", "hr-web"]),
    ("run good wrong --model --format json", 1, &["\"kind\":\"disagreement\"", "\"line\":12", "\"passed\":1"]),
    ("run broken --model", 2, &["hots"]),
    ("run good --slow --model --partition hash:1/1", 0, &["2 scenarios: 2 passed"]),
    ("run good --model --partition hash:5/4", 2, &["a part such as `hash:1/4`"]),
    ("run good --model --stress 3", 0, &["small (1 of 3)", "small (3 of 3)", "3 passed", "1 skipped"]),
    ("run wrong --model --stress 3", 1, &["0 passed, 3 failed"]),
    ("run wrong good --model --stress 3 --until-failure", 1, &["1 failed", "one before it did not pass"]),
    ("rerun absent", 2, &["cannot open the recording", "absent/events.jsonl"]),
    ("report merge", 2, &["<DIR>..."]),
    ("run good --agent absent", 2, &["cannot use absent as the agent"]),
    ("check good/base.yaml", 0, &["good/base.yaml: 1 rule, 1 claim, nothing to say"]),
    ("check policy.yaml", 1, &["policy.yaml:3: unused: ghosts: nothing names this group", "2 rules, 1 warning"]),
    (
        "check late.yaml",
        1,
        &["late.yaml:6: shadowed: hr-web: no flow reaches it: all-web (line 5) decides all of its flows"],
    ),
    ("check late.yaml --format github", 1, &["::warning file=late.yaml,line=6,title=shadowed::hr-web: no flow"]),
    ("check late.yaml --format json", 1, &[r#""kind":"shadowed","rule":"hr-web","file":"late.yaml","line":6"#]),
    ("check claims.yaml", 1, &["claims.yaml: left out: 1 of 2 claims: they name VMs"]),
    (
        "check claims.yaml --inventory good/small.yaml",
        1,
        &["claims.yaml:9: failed: hr -> web tcp/80: deny: hr -> web tcp/80 gets allow by hr-web (line 6)"],
    ),
    ("check bad-policy.yaml", 2, &["bad-policy.yaml:5:", "dny"]),
    ("check policy.yaml --inventory good/small.yaml", 1, &["ghosts: this group matches no VM of the inventory"]),
    (
        "check idle.yaml --inventory good/small.yaml",
        1,
        &["idle.yaml:6: never-matching: hr-web: its `from` matches no VM of the inventory"],
    ),
    ("fmt good/base.yaml --check", 0, &[]),
    (
        "fmt spaced.yaml --check",
        1,
        &["spaced.yaml: not in its canonical form", "  2 - default:   deny", "  2 + default: deny"],
    ),
    ("fmt bad-policy.yaml --check", 2, &["bad-policy.yaml:5:", "dny"]),
    ("why policy.yaml dept=hr app=web tcp/80", 0, &["allow by hr-web", "passed over no-telnet (line 5)"]),
    ("why policy.yaml dept=hr&env=test app=web tcp/80", 0, &["allow by hr-web"]),
    ("why policy.yaml has(dept) app=web tcp/80", 2, &["as labels, such as dept=hr,app=web"]),
    ("why policy.yaml dept=hr|dept=eng app=web tcp/80", 2, &["for an endpoint", "`reach` takes selectors"]),
    ("run policy.yaml", 2, &["this is a policy, and a scenario is asked for", "`policy: policy.yaml`"]),
    ("reach good/small.yaml", 0, &["tcp/80 v4: allow by hr-web"]),
    ("why policy.yaml hr web tcp/23 --inventory good/small.yaml", 0, &["deny by no-telnet at the source"]),
    ("why policy.yaml hr web tcp/80 --inventory topology.yaml", 0, &["allow by hr-web"]),
    ("why named.yaml dept=hr app=web web", 0, &["tcp/80: allow by hr-web", "tcp/23: deny by no-telnet"]),
    ("why inside.yaml hr web tcp/80", 0, &["allow by hr-web (line 14)", "passed over no-telnet (line 13)"]),
    ("why good/small.yaml hr web tcp/80", 0, &["allow by hr-web (line 6)"]),
    ("why bare.yaml hr web tcp/80", 2, &["cannot find a policy in the scenario bare.yaml: it has no `policy:`"]),
    ("why policy.yaml hr web tcp/80 --inventory torn.yaml", 2, &["torn.yaml:"]),
    ("check inside.yaml", 1, &["inside.yaml:11: unused: ghosts", "ghosts: this group matches no VM of the inventory"]),
    ("check policy.yaml,", 2, &["a file on both sides of each comma of `policy.yaml,`"]),
    ("diff inside.yaml idle.yaml --inventory inside.yaml", 0, &["1 flow newly intercepted"]),
    ("diff idle.yaml inside.yaml", 0, &["hr -> web", "newly allowed"]),
    ("diff policy.yaml idle.yaml --packets", 2, &["without VMs: give --inventory FILE"]),
    ("fmt --check good/base.yaml,spaced.yaml", 1, &["spaced.yaml: not in its canonical form"]),
    ("reach good/small.yaml --services tcp/80 --from dept=nobody", 0, &["nobody in good/small.yaml is `dept=nobody`"]),
    ("mutate good/small.yaml --at-least 101", 2, &["a number from 0 to 100"]),
    ("mutate topology.yaml", 2, &["needs the key `eastwest`"]),
    ("fmt --check absent.yaml", 2, &["cannot read absent.yaml"]),
    ("diff policy.yaml policy.yaml --fail-on any", 0, &["no flow changes its verdict or its rule"]),
    ("diff policy.yaml idle.yaml", 0, &["newly intercepted: (dept = hr", "before: allow by hr-web", "such as"]),
    ("diff policy.yaml idle.yaml --inventory topology.yaml --fail-on newly-intercepted", 1, &["hr -> web", "tcp/80"]),
    ("diff policy.yaml idle.yaml --inventory topology.yaml --fail-on newly-allowed", 0, &["1 flow newly intercepted"]),
    ("diff policy.yaml idle.yaml --format markdown", 0, &["| newly intercepted |"]),
    ("diff policy.yaml idle.yaml --format json", 0, &["\"kind\":\"newly-intercepted\"", "\"tcp/80\""]),
    ("diff policy.yaml bad-policy.yaml", 2, &["bad-policy.yaml:5:"]),
    ("diff --help", 0, &["Examples:", "--fail-on", "newly-allowed"]),
    ("run good good/small.yaml good/deep/slow.yaml --model", 0, &["2 scenarios: 2 passed"]),
    ("why policy.yaml hr web tcp/23", 2, &["cannot look up `hr` without an inventory"]),
    ("why policy.yaml hr wbe tcp/23 --inventory good/small.yaml", 2, &["cannot find `wbe`", "did you mean `web`?"]),
    ("why policy.yaml dept=hr app=web tcp/80-90", 2, &["cannot read the service `tcp/80-90`"]),
    ("why policy.yaml 10.1.1.1 fd00::1 tcp/80", 2, &["no address family in common"]),
    ("reach good/small.yaml --services tcp/80,tcp/23", 0, &["hr -> web tcp/80 v4: allow by hr-web", "at source"]),
    ("report render absent", 2, &["cannot open the recording", "absent/events.jsonl"]),
    ("report render absent --baseline absent", 2, &["another form than --format html"]),
    ("report render absent --format html --baseline absent", 2, &["cannot open the recording"]),
    ("report render --help", 0, &["Examples:", "--baseline", "markdown", "tap", "github"]),
    ("schema policy", 0, &["\"const\": \"policy/v1\"", "2020-12"]),
    ("schema scenario", 0, &["\"const\": \"scenario/v1\""]),
    ("schema", 2, &["<KIND>"]),
    ("agent status --state absent", 3, &["cannot "]),
    ("agent suspend --for 10m --state absent", 3, &["cannot ask the agent at absent/control.sock"]),
    ("agent suspend --for 25h --state absent", 2, &["a time from 1s to 24h"]),
    ("agent suspend --for 10m --end", 2, &["cannot be used with"]),
    ("agent suspend", 2, &["--for <TIME>"]),
    ("agent uninstall --state absent", 2, &["--yes"]),
    ("agent uninstall --yes --state absent", 3, &["cannot "]),
];

#[test]
fn each_command_ends_with_its_code_and_says_why() {
    let folder = folder();
    for row in ROWS {
        check(folder.path(), row);
    }
}

#[test]
fn a_file_is_run_along_its_axes_and_in_other_orders() {
    let folder = folder();
    let rows: [(&str, i32, &[&str]); 6] = [
        ("list axes/axes.yaml", 0, &["small [v4]  (axes/axes.yaml: 1 step)", "small [v6]  (axes/axes.yaml: 1 step)"]),
        ("run axes/axes.yaml --filter v6 --model", 0, &["1 scenario: 1 passed", "small [v6]"]),
        ("list no-six", 2, &["in its trial of v6 alone, this has no address", "no-six/no-six.yaml [v6]:7:"]),
        ("run good --order backwards", 2, &["shuffled", "squashed", "doubled", "restarts"]),
        ("run good --order shuffled --model", 2, &["cannot be used with"]),
        (
            "reach axes/axes.yaml --services tcp/80",
            0,
            &["[v4] hr -> web tcp/80 v4: allow by hr-web", "[v6] hr -> web tcp/80 v6: allow by hr-web"],
        ),
    ];
    for row in rows {
        check(folder.path(), row);
    }
}

#[test]
fn what_is_listed_for_runners_of_tests_is_run_by_that_name() {
    let folder = folder();
    let rows: [(&str, i32, &[&str]); 10] = [
        ("run good --watch", 2, &["cannot watch good: it is no file"]),
        ("run good/small.yaml wrong/wrong.yaml --watch", 2, &["cannot watch more than one scenario"]),
        ("run good/small.yaml --watch --model", 2, &["cannot be used with"]),
        ("list good --format terse", 0, &["good/deep/slow.yaml::slow one: test\ngood/small.yaml::small: test\n"]),
        ("list good --format terse --ignored", 0, &["good/deep/slow.yaml::slow one: test\n"]),
        ("list axes/axes.yaml --format terse", 0, &["axes/axes.yaml::small [v4]: test\n"]),
        ("run good --exact good/small.yaml::small --model", 0, &["1 scenario: 1 passed", "0 skipped"]),
        ("run wrong good --exact wrong/wrong.yaml::small --model", 1, &["1 scenario: 0 passed, 1 failed"]),
        ("run good --exact small --model", 2, &["cannot find `small`: `eastwest list --format terse`"]),
        ("run good --exact small --filter small --model", 2, &["cannot be used with"]),
    ];
    for row in rows {
        check(folder.path(), row);
    }
}

#[test]
fn a_scenario_comes_from_standard_input() {
    let folder = folder();
    let output = eastwest(folder.path(), "run - --model", SCENARIO);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let output = eastwest(folder.path(), "run - --model", "eastwest: scenario/v1\n");
    assert_eq!(output.status.code(), Some(2), "a scenario without a topology");
}

#[test]
fn a_recorded_run_renders_again_as_it_was_told() {
    let folder = folder();
    let run = eastwest(folder.path(), "run good wrong --model --report out --junit again.xml", "");
    assert_eq!(run.status.code(), Some(1));
    let told = String::from_utf8(run.stdout).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let render = |format: &str| {
        let output = eastwest(folder.path(), &format!("report render out --format {format}"), "");
        assert_eq!(output.status.code(), Some(1), "the rendered run ends as the run did");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(render("human"), told);
    assert_eq!(render("html"), read("out/report.html"));
    for (format, holds) in [
        ("html --baseline out", "As before: 2 scenarios."),
        ("markdown", "### failed: `small`"),
        ("markdown --baseline out", "### Findings since the baseline: 0 new, 0 gone, "),
        ("github", "::error file=wrong/wrong.yaml,line=12,title=disagreement%3A "),
        ("tap", "TAP version 14\n1..3\n"),
    ] {
        assert!(render(format).contains(holds), "{format}: {}", render(format));
    }
    assert_eq!(read("out/report.txt"), told);
    assert_eq!(read("out/junit.xml"), read("again.xml"));
    assert_eq!(render("junit"), read("again.xml"));
    let object: serde_json::Value = serde_json::from_str(&render("json")).unwrap();
    assert_eq!(object["totals"]["failed"], 1, "{object}");
}

#[test]
fn parts_make_a_whole_and_what_failed_runs_again() {
    let folder = folder();
    let rows: [(&str, i32, &[&str]); 11] = [
        ("run good wrong --slow --model --partition hash:2/2 --report one --seed 7", 0, &["2 scenarios: 2 passed"]),
        (
            "run good wrong --slow --model --partition hash:1/2 --report two --seed 7",
            1,
            &["1 scenario: 0 passed, 1 failed"],
        ),
        ("report merge one two --report whole", 1, &["3 scenarios: 2 passed, 1 failed", "wrong/wrong.yaml:12"]),
        ("report render whole", 1, &["3 scenarios: 2 passed, 1 failed"]),
        ("report merge one whole", 2, &["cannot merge one and whole: both ran"]),
        ("rerun whole --report again", 1, &["3 scenarios: 2 passed, 1 failed"]),
        ("rerun whole --failed --seed 9", 1, &["1 scenario: 0 passed, 1 failed"]),
        ("rerun one --failed", 0, &["nothing of one is to be run again: every scenario of it passed"]),
        ("rerun one --failed --stress 1001", 2, &["1..=1000"]),
        ("run axes --model --report varied", 1, &["4 scenarios: 3 passed, 1 failed", "small [v4]"]),
        ("rerun varied --failed", 1, &["1 scenario: 0 passed, 1 failed", "small [v4]"]),
    ];
    for row in rows {
        check(folder.path(), row);
    }
    let again = fs::read_to_string(folder.path().join("again/events.jsonl")).unwrap();
    assert!(again.contains("\"seed\":7"), "it runs with another seed");
    // A part that was cut off makes a whole that was.
    let recording = folder.path().join("one/events.jsonl");
    let events = fs::read_to_string(&recording).unwrap();
    let cut: Vec<&str> = events.lines().filter(|line| !line.contains("run-finished")).collect();
    fs::write(&recording, format!("{}\n", cut.join("\n"))).unwrap();
    check(folder.path(), ("report merge one two", 130, &["interrupted"]));
}

#[test]
fn reach_in_json_has_the_promised_form() {
    let folder = folder();
    let output = eastwest(folder.path(), "reach good/small.yaml --services tcp/80 --model --format json", "");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cells = object["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4, "two ordered pairs in two families");
    let mut keys: Vec<&String> = cells[0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["destination", "end", "family", "rule", "service", "source", "verdict", "would"]);
}

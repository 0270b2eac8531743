//! The files for CI systems: they are what they say, and tell the command nothing that it does not know.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const FILES: [&str; 7] = [
    "action.yml",
    "src/init/github.yml",
    "src/init/gitlab.yml",
    "dist/ci/Jenkinsfile",
    "dist/Containerfile",
    "dist/kubernetes/scenarios.yaml",
    "dist/kubernetes/merge.yaml",
];

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The command lines of a file, from the subcommand on, with something in the place of each variable.
fn calls(text: &str) -> Vec<Vec<String>> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with(['#', '/']));
    let line = |line: &str| {
        let (_, call) = line.split_once("eastwest ")?;
        let is_call = ["run ", "report ", "doctor"].iter().any(|word| call.starts_with(word));
        let end = call.find("||").or_else(|| call.find(">>")).unwrap_or(call.len());
        is_call.then(|| words(&call[..end]))
    };
    code.filter_map(line).collect()
}

fn words(call: &str) -> Vec<String> {
    let part = ["hash:$PART/4", "hash:$CI_NODE_INDEX/$CI_NODE_TOTAL", "hash:$((JOB_COMPLETION_INDEX + 1))/4"];
    let call = part.iter().fold(call.to_owned(), |call, part| call.replace(part, "hash:1/4"));
    let call =
        call.replace("${PARTITION:+--partition \"$PARTITION\"}", "--partition hash:1/4").replace("$OPTIONS", "--slow");
    call.split_whitespace().map(|word| word.trim_matches(['"', '\'']).replace('$', "")).collect()
}

#[test]
fn they_call_the_command_as_it_is() {
    for file in FILES {
        let calls = calls(&text(file));
        assert_eq!(
            calls.is_empty(),
            ["src/init/github.yml", "dist/Containerfile"].contains(&file),
            "{file}: {calls:?}"
        );
        for call in calls {
            let output = Command::new(env!("CARGO_BIN_EXE_eastwest")).args(&call).arg("--help").output().unwrap();
            assert!(output.status.success(), "{file}: {call:?}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn what_is_yaml_can_be_read() {
    for file in FILES.iter().filter(|file| file.ends_with("yml") || file.ends_with("yaml")) {
        for part in text(file).split("\n---\n") {
            let read: Result<Value, _> = serde_saphyr::from_str(part);
            assert!(read.as_ref().is_ok_and(Value::is_object), "{file}: {read:?}");
        }
    }
}

#[test]
fn the_workflow_gives_the_action_what_it_takes() {
    let action: Value = serde_saphyr::from_str(&text("action.yml")).unwrap();
    let workflow: Value = serde_saphyr::from_str(&text("src/init/github.yml")).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let steps = jobs.flat_map(|job| job["steps"].as_array().unwrap());
    let ours: Vec<&Value> =
        steps.filter(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("/eastwest@"))).collect();
    assert_eq!(ours.len(), 2);
    for input in ours.iter().flat_map(|step| step["with"].as_object().unwrap().keys()) {
        assert!(action["inputs"].get(input).is_some(), "the action takes no `{input}`");
    }
}

#[test]
fn each_scenario_is_a_test_by_the_wrapper_of_the_docs() {
    let page = text("docs/ci.md");
    let wrapper = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("wrapper.rs"), wrapper).unwrap();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let built =
        Command::new(rustc).current_dir(folder.path()).args(["--edition", "2024", "wrapper.rs"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::create_dir(folder.path().join("scenarios")).unwrap();
    let scenario = "eastwest: scenario/v1\nname: NAME\ntopology: {hosts: [h], vms: {a: {host: h}, b: {host: h}}}\n\
        policy: {rules: []}\nsteps: [{expect: [\"a -> b tcp/1: CLAIM\"]}]\n";
    for (name, claim, head) in [("as it is", "deny", ""), ("wrong", "allow", ""), ("long", "deny", "slow: true\n")] {
        let text = format!("{}{head}", scenario.replace("NAME", name).replace("CLAIM", claim));
        fs::write(folder.path().join(format!("scenarios/{}.yaml", name.replace(' ', "-"))), text).unwrap();
    }
    let eastwest = Path::new(env!("CARGO_BIN_EXE_eastwest")).parent().unwrap();
    let path = format!("{}:{}", eastwest.display(), std::env::var("PATH").unwrap());
    let rows: [(&[&str], i32, &[&str]); 4] = [
        (
            &["--list", "--format", "terse"],
            0,
            &["scenarios/as-it-is.yaml::as it is: test\n", "wrong: test\n", "scenarios/long.yaml::long: test\n"],
        ),
        (&["--list", "--format", "terse", "--ignored"], 0, &["scenarios/long.yaml::long: test\n"]),
        (&["--exact", "scenarios/as-it-is.yaml::as it is", "--nocapture"], 0, &["1 scenario: 1 passed"]),
        (&["--exact", "scenarios/wrong.yaml::wrong", "--nocapture"], 1, &["1 scenario: 0 passed, 1 failed"]),
    ];
    for (args, code, said) in rows {
        let mut wrapper = Command::new(folder.path().join("wrapper"));
        let output = wrapper.current_dir(folder.path()).env("PATH", &path).args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        said.iter().for_each(|words| assert!(text.contains(words), "{args:?}: `{words}` is missing in {text}"));
    }
}

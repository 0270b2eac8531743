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

//! The JSON Schemas: they are what the code gives, take every file that is shipped, and refuse what is wrong in shape.
//!
//! `EASTWEST_BLESS=1 cargo test --release --test schema` writes the files under `schemas` anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use boon::{Compiler, Draft, SchemaIndex, Schemas as Compiled};
use serde_json::Value;

/// Bad files that are no YAML to others, or hold a key twice.
const NO_YAML: [&str; 7] = [
    "policy/tests/bad/empty.yaml",
    "policy/tests/bad/not-yaml.yaml",
    "policy/tests/bad/quote-quotes.yaml",
    "policy/tests/bad/quote-star.yaml",
    "policy/tests/bad/same-key.yaml",
    "policy/tests/bad/tabs.yaml",
    "harness/tests/bad/quote-star.yaml",
];

/// Bad files in which every mistake is beyond a schema: it knows shapes, and no names, services, selectors or states.
const BEYOND: [&str; 16] = [
    "policy/tests/bad/group-circle.yaml",
    "policy/tests/bad/group-not-addresses.yaml",
    "policy/tests/bad/icmp.yaml",
    "policy/tests/bad/outage-long.yaml",
    "policy/tests/bad/outage-short.yaml",
    "policy/tests/bad/protocols.yaml",
    "policy/tests/bad/same-name.yaml",
    "policy/tests/bad/unknown-group.yaml",
    "harness/tests/bad/center-down.yaml",
    "harness/tests/bad/conflict.yaml",
    "harness/tests/bad/impossible.yaml",
    "harness/tests/bad/incomplete.yaml",
    "harness/tests/bad/no-flow.yaml",
    "harness/tests/bad/policy-file.yaml",
    "harness/tests/bad/unknown-rule.yaml",
    "harness/tests/bad/unknown-vm.yaml",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The schemas of both kinds of file.
struct Schemas {
    compiled: Compiled,
    policy: SchemaIndex,
    scenario: SchemaIndex,
}

impl Schemas {
    fn new() -> Self {
        let (mut compiled, mut compiler) = (Compiled::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        // Compiling holds a schema against the schema of its draft.
        let mut compile = |place: &str, schema: Value| {
            compiler.add_resource(place, schema).unwrap();
            compiler.compile(place, &mut compiled).unwrap()
        };
        let policy = compile("file:///policy", harness::schema::policy());
        let scenario = compile("file:///scenario", harness::schema::scenario());
        Self { compiled, policy, scenario }
    }

    /// What the schema of its kind says of a file; `None` where it is no YAML.
    fn complaints(&self, text: &str, scenario: bool) -> Option<Vec<String>> {
        let value: Value = serde_saphyr::from_str(text).ok().filter(|value: &Value| !value.is_null())?;
        let schema = if scenario { self.scenario } else { self.policy };
        Some(self.compiled.validate(&value, schema).err().map(|error| format!("{error:#}")).into_iter().collect())
    }
}

/// All YAML files of a folder, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_files_are_what_the_code_gives() {
    for kind in ["policy", "scenario"] {
        let output = Command::new(env!("CARGO_BIN_EXE_eastwest")).args(["schema", kind]).output().unwrap();
        assert!(output.status.success(), "{kind}");
        let given = String::from_utf8(output.stdout).unwrap();
        let name = format!("schemas/{kind}.schema.json");
        let path = root().join(&name);
        if std::env::var_os("EASTWEST_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &given).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(written == given, "{name} is out of date: EASTWEST_BLESS=1 writes it anew");
    }
}

#[test]
fn they_tell_what_each_key_means() {
    for schema in [harness::schema::policy(), harness::schema::scenario()] {
        let mut keys = 0;
        told(&schema, "", &mut keys);
        assert!(keys >= 30, "only {keys} keys");
    }
}

/// Looks for a description at each key of each mapping.
fn told(form: &Value, place: &str, keys: &mut usize) {
    let Some(form) = form.as_object() else { return };
    for (word, inner) in form {
        if word == "properties" && !place.ends_with("/if") && !place.ends_with("/then") {
            for (key, form) in inner.as_object().unwrap() {
                *keys += 1;
                assert!(form.get("description").is_some_and(Value::is_string), "{place}: `{key}` means nothing");
            }
        }
        told(inner, &format!("{place}/{word}"), keys);
        let items = inner.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().for_each(|item| told(item, &format!("{place}/{word}"), keys));
    }
}

#[test]
fn every_file_that_is_shipped_is_taken() {
    let schemas = Schemas::new();
    let (mut policies, mut scenarios) = (0, 0);
    for path in ["scenarios", "src", "reports/examples", "docs"].iter().flat_map(|folder| files(folder)) {
        let text = fs::read_to_string(&path).unwrap();
        let head = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        let scenario = match head {
            "eastwest: policy/v1" => false,
            "eastwest: scenario/v1" => true,
            _ => continue,
        };
        *(if scenario { &mut scenarios } else { &mut policies }) += 1;
        let complaints = schemas.complaints(&text, scenario);
        assert_eq!(complaints, Some(Vec::new()), "{}", path.display());
    }
    assert!(policies >= 4 && scenarios >= 50, "only {policies} policies and {scenarios} scenarios");
}

#[test]
fn what_is_wrong_in_shape_is_refused_and_what_is_beyond_a_schema_is_known() {
    let schemas = Schemas::new();
    let (mut no_yaml, mut beyond) = (Vec::new(), Vec::new());
    for folder in ["policy/tests/bad", "harness/tests/bad"] {
        for path in files(folder) {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            match schemas.complaints(&text, folder.starts_with("harness")) {
                None => no_yaml.push(name),
                Some(complaints) if complaints.is_empty() => beyond.push(name),
                Some(_) => {}
            }
        }
    }
    assert_eq!(no_yaml, NO_YAML, "what is no YAML");
    assert_eq!(beyond, BEYOND, "what is beyond a schema");
}

const POLICY: &str = "\
eastwest: policy/v1
services: {web: [tcp/80, tcp/443], 7: udp/7}
groups: {office: [10.9.0.0/16, not 10.9.3.0/24], hr: dept = hr}
rules:
  - {name: one, allow: web, from: office, until: 2027-01-31T18:00:00Z, log: true, note: 5}
detect:
  - {name: two, volume: {bytes: 10G, within: 1m}, from: vms, then: quarantine, for: 10m}
  - {name: three, scan: {ports: 20, within: 10s}, then: alert}
outage: lease 10m
";

const SCENARIO: &str = "\
eastwest: scenario/v1
topology:
  hosts: [h1]
  vms:
    a: {host: h1, labels: {x: 1.10, y: }, agent: {spool: 5}, clock: -1d}
    w-[1..5]: {host: h1, serves: tcp/80}
policy: {rules: [{name: r, allow: any, until: +5s}]}
steps:
  - name: one
    do:
      - heal
      - open s: a -> w-1 tcp/80
      - close s
      - restart: {agent: [a, w-1]}
      - policy: {sized: big.yaml}
      - send: {raw: syn 1-9, from: a, to: w-1, times: 3}
    expect:
      - a -> w-1 tcp/80: allow by r
      - agent a: online
      - generation acked by all
    matrix: {tcp/80: \"-> a\"}
";

#[test]
fn a_schema_tells_a_near_miss() {
    let schemas = Schemas::new();
    assert_eq!(schemas.complaints(POLICY, false), Some(Vec::new()));
    assert_eq!(schemas.complaints(SCENARIO, true), Some(Vec::new()));
    let of_policies = [
        ("policy/v1", "policy/v2"),
        ("eastwest: policy/v1\n", ""),
        ("rules:", "ruls:"),
        ("{name: one, allow", "{allow"),
        ("allow: web", "alow: web"),
        ("allow: web", "allow: []"),
        ("allow: web", "allow: web, deny: any"),
        ("from: office", "from: [office]"),
        ("2027-01-31T18:00:00Z", "2027-01-31"),
        ("2027-01-31T18:00:00Z", "+5s"),
        ("log: true", "log: yes please"),
        ("7: udp/7", "tcp: udp/7"),
        ("hr: dept = hr", "Hr: dept = hr"),
        ("bytes: 10G", "bytes: 10T"),
        ("ports: 20", "ports: 1"),
        ("ports: 20, within: 10s", "ports: 20"),
        ("then: alert", "then: alert, for: 1m"),
        (", for: 10m", ""),
        ("lease 10m", "lease"),
    ];
    let of_scenarios = [
        ("topology:", "topologie:"),
        ("hosts: [h1]", "hosts: []"),
        ("host: h1, labels", "labels"),
        ("clock: -1d", "clock: 1d"),
        ("spool: 5", "spol: 5"),
        ("w-[1..5]", "w-[1-5]"),
        ("allow: any", "alow: any"),
        ("+5s", "5s"),
        ("name: one", "nam: one"),
        ("- heal", "- heel"),
        ("open s:", "open:"),
        ("- close s", "- {close: s, heal: }"),
        ("agent: [a, w-1]", "vm: a"),
        ("sized: big.yaml", "size: big.yaml"),
        ("raw: syn 1-9, from: a, ", "raw: syn 1-9, "),
        ("times: 3", "times: 0"),
        (": allow by r", ": alow by r"),
        ("agent a: online", "agent a: asleep"),
        ("generation acked", "generations acked"),
        ("a -> w-1 tcp/80: allow", "a > w-1 tcp/80: allow"),
        ("{tcp/80: ", "{http: "),
    ];
    let rows = of_policies.map(|row| (POLICY, row, false)).into_iter();
    for (good, (part, wrong), scenario) in rows.chain(of_scenarios.map(|row| (SCENARIO, row, true))) {
        assert_eq!(good.matches(part).count(), 1, "`{part}` is to stand in the good file once");
        let complaints = schemas.complaints(&good.replace(part, wrong), scenario);
        assert!(complaints.is_some_and(|complaints| !complaints.is_empty()), "`{wrong}` for `{part}` is taken");
    }
}

//! The pages under docs/reference are what the program says of itself: its help, and the keys of its schemas.
//!
//! `EASTWEST_BLESS=1 cargo test --release --test reference` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const HELP: &str = "\
# The command line

Written by `tests/reference.rs` from the command's own help; do not edit it by hand. `eastwest man DIR` writes the same as manual pages.
";

const POLICY: &str = "\
# The keys of a policy

Written by `tests/reference.rs` from `eastwest schema policy`; do not edit it by hand. What they mean together is said in
[the policy language](../policy.md).
";

const SCENARIO: &str = "\
# The keys of a scenario

Written by `tests/reference.rs` from `eastwest schema scenario`; do not edit it by hand. What they mean together is said in
[the scenario language](../scenarios.md).
";

fn eastwest(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    let output = command.args(arguments).env("COLUMNS", "120").env_remove("EASTWEST_LOG").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Holds a page against what it should be, or writes it.
fn check(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("EASTWEST_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differing = written.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(written == page, "{name} is out of date, at {differing:?}: EASTWEST_BLESS=1 writes it anew");
}

/// The subcommands that a help names; `help` is none of ours.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that is wrapped stands deeper.
    let names = lines
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   ")));
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help of a command, and below it that of its subcommands.
fn help(page: &mut String, path: &[&str]) -> usize {
    let said = eastwest(&[path, &["--help"]].concat());
    let said = said.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let title = ["eastwest"].iter().chain(path).copied().collect::<Vec<_>>().join(" ");
    write!(page, "\n## {title}\n\n```text\n{}\n```\n", said.trim_end()).unwrap();
    let below = subcommands(&said);
    1 + below.iter().map(|name| help(page, &[path, &[name.as_str()]].concat())).sum::<usize>()
}

#[test]
fn the_command_line_is_its_own_help() {
    let mut page = HELP.to_owned();
    let count = help(&mut page, &[]);
    assert!(count >= 30, "only {count} commands found");
    check("command-line.md", &page);
}

/// A schema whose keys are shown on a page of their own, and the one whose page has what both share.
struct Keys<'a> {
    schema: &'a Value,
    shared: Option<&'a Value>,
}

impl Keys<'_> {
    /// The page: a table for each mapping, then the words that stand for values.
    fn page(&self, head: &str) -> String {
        let mut page = head.to_owned();
        let definitions = self.schema["$defs"].as_object().unwrap().iter().filter(|(name, _)| !self.is_shared(name));
        let (mut tables, mut words) = (Vec::new(), Vec::new());
        mappings("the file", self.schema, &mut tables);
        for (name, schema) in definitions {
            let before = tables.len();
            mappings(name, schema, &mut tables);
            if tables.len() == before {
                words.push((name, schema));
            }
        }
        for (name, schema) in tables {
            self.table(&mut page, &name, schema);
        }
        page.push_str("\n## Words\n");
        for (name, schema) in words {
            let said = [self.form(name, schema), meaning(schema)].join(". ");
            write!(page, "\n### {name}\n\n{}\n", said.trim_end_matches(". ")).unwrap();
        }
        page
    }

    fn is_shared(&self, name: &str) -> bool {
        name == "policy" || self.shared.is_some_and(|shared| shared["$defs"].get(name).is_some())
    }

    fn table(&self, page: &mut String, name: &str, schema: &Value) {
        write!(page, "\n## {name}\n\n").unwrap();
        if let Some(said) = schema["description"].as_str() {
            write!(page, "{said}\n\n").unwrap();
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        page.push_str("| key | value | meaning |\n|---|---|---|\n");
        for (key, value) in schema["properties"].as_object().unwrap() {
            let must = if required.contains(&key.as_str()) { " (required)" } else { "" };
            let form = self.form(&format!("{name} {key}"), value);
            writeln!(page, "| `{key}`{must} | {form} | {} |", meaning(value)).unwrap();
        }
    }

    /// What a value looks like, in a few words.
    fn form(&self, name: &str, schema: &Value) -> String {
        let list = |value: &Value| -> Option<Vec<Value>> { value.as_array().cloned() };
        if let Some(reference) = schema["$ref"].as_str() {
            return self.link(reference.rsplit('/').next().unwrap());
        }
        if let Some(words) = list(&schema["enum"]).or_else(|| schema.get("const").map(|word| vec![word.clone()])) {
            return words.iter().map(|word| format!("`{}`", plain(word))).collect::<Vec<_>>().join(", ");
        }
        if let Some(kinds) = list(&schema["anyOf"]) {
            let mut forms: Vec<String> = kinds.iter().map(|kind| self.form(name, kind)).collect();
            forms.dedup();
            return forms.join(", or ");
        }
        if schema.get("properties").is_some() {
            return format!("[a mapping](#{})", anchor(name));
        }
        if let Some(items) = schema.get("items") {
            return format!("a list of {}", self.form(name, items));
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            return format!("names, each with {}", self.form(name, values));
        }
        kind(&schema["type"])
    }

    fn link(&self, name: &str) -> String {
        let page = if self.shared.is_some() && self.is_shared(name) { "policy.md" } else { "" };
        let target = if name == "policy" { "the-file".to_owned() } else { anchor(name) };
        format!("[{name}]({page}#{target})")
    }
}

/// The mappings with known keys in a schema, without what it refers to.
fn mappings<'a>(name: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    if schema.get("properties").is_some() {
        found.push((name.to_owned(), schema));
    }
    let below = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    let inner = ["items", "additionalProperties"].iter().filter_map(|key| schema.get(*key));
    below("anyOf").chain(inner).for_each(|inner| mappings(name, inner, found));
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        mappings(&format!("{name} {key}"), value, found);
    }
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn plain(word: &Value) -> String {
    word.as_str().map_or_else(|| word.to_string(), str::to_owned)
}

fn kind(types: &Value) -> String {
    let types = types.as_array().map_or(std::slice::from_ref(types), Vec::as_slice);
    let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
    let said = match types.as_slice() {
        types if types.contains(&"integer") || types == ["number"] => "a number",
        types if types.contains(&"boolean") && !types.contains(&"number") => "`true` or `false`",
        ["null"] => "nothing",
        ["array"] => "a list",
        ["object"] => "a mapping",
        _ => "text",
    };
    said.to_owned()
}

fn meaning(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('|', "\\|")
}

#[test]
fn the_keys_are_those_of_the_schemas() {
    let schema = |name: &str| -> Value { serde_json::from_str(&eastwest(&["schema", name])).unwrap() };
    let (policy, scenario) = (schema("policy"), schema("scenario"));
    check("policy.md", &Keys { schema: &policy, shared: None }.page(POLICY));
    check("scenario.md", &Keys { schema: &scenario, shared: Some(&policy) }.page(SCENARIO));
}

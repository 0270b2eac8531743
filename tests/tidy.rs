//! The style of the source, enforced: each rule is a function from a file to complaints, and has rows of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
struct File {
    path: String,
    text: String,
}

type Rule = fn(&File) -> Vec<String>;

const RULES: [(&str, Rule); 12] = [
    ("a source begins with what it is for", head),
    ("a source is short", short),
    ("a function fits a screen", functions),
    ("a source offers few public items", public_items),
    ("nothing is left to do", left_to_do),
    ("no wait by the clock", naps),
    ("a file's name says what it holds", names),
    ("no path of one machine", machine_paths),
    ("unsafe code has one home", unsafe_home),
    ("tests are neither ignored nor expected to panic", weak_tests),
    ("a script stops at its first error", scripts),
    ("a line has no blanks at its end", blanks),
];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 70;
const MOST_PUBLIC_ITEMS: usize = 12;

/// Sources that may wait by a clock, and why.
const NAPS: [(&str, &str); 4] = [
    ("agent/examples/bench/process.rs", "what an agent costs at rest is a figure of time"),
    ("agent/src/backoff.rs", "between tries to reach the center there is nothing to wait for but time"),
    ("saboteur/src/liar.rs", "an agent that is late is late by a time"),
    ("center/src/serve.rs", "a listener without free descriptors has no event to wait for"),
];

/// Where `unsafe` may stand.
const UNSAFE_HOME: &str = "lab/src/sys.rs";

fn is_source(file: &File) -> bool {
    file.path.ends_with(".rs")
}

fn is_test(file: &File) -> bool {
    file.path.starts_with("tests/") || file.path.contains("/tests/")
}

/// The numbered lines before the file's own test module.
fn own_lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate().map(|(at, line)| (at + 1, line))
}

fn head(file: &File) -> Vec<String> {
    let wrong = is_source(file) && !file.text.starts_with("//! ");
    Vec::from_iter(wrong.then(|| "its first line is no `//!` that says what it is for".to_owned()))
}

fn short(file: &File) -> Vec<String> {
    let lines = own_lines(file).count();
    let wrong = is_source(file) && !is_test(file) && lines > LONGEST_FILE;
    Vec::from_iter(wrong.then(|| format!("{lines} lines, of which {LONGEST_FILE} are allowed")))
}

fn functions(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in file.text.lines().enumerate().filter(|_| is_source(file)) {
        match &open {
            Some((start, end)) if line == end => {
                let length = number - start + 1;
                if length > LONGEST_FUNCTION {
                    complaints.push(format!("line {}: a function of {length} lines", start + 1));
                }
                open = None;
            }
            Some(_) => {}
            None if begins_function(line) && !line.ends_with('}') && !line.ends_with(';') => {
                let indent = line.len() - line.trim_start().len();
                open = Some((number, format!("{}}}", " ".repeat(indent))));
            }
            None => {}
        }
    }
    complaints
}

fn begins_function(line: &str) -> bool {
    let words = line.split_whitespace();
    let is_modifier = |word: &&str| {
        ["pub", "async", "const", "unsafe", "extern"].contains(word)
            || word.starts_with("pub(")
            || word.starts_with('"')
    };
    words.skip_while(|word| is_modifier(word)).map(|word| word == "fn").next().unwrap_or(false)
}

fn public_items(file: &File) -> Vec<String> {
    let kinds = ["fn", "struct", "enum", "trait", "type", "static", "const", "async", "unsafe"];
    let is_item = |line: &str| {
        line.strip_prefix("pub ")
            .and_then(|rest| rest.split_whitespace().next())
            .is_some_and(|kind| kinds.contains(&kind))
    };
    let count = own_lines(file).filter(|(_, line)| is_item(line)).count();
    let wrong = is_source(file) && count > MOST_PUBLIC_ITEMS;
    Vec::from_iter(wrong.then(|| format!("{count} public items, of which {MOST_PUBLIC_ITEMS} are allowed")))
}

/// A complaint for each line that holds one of the words.
fn lines_with(file: &File, words: &[&str]) -> Vec<String> {
    let found = |line: &str| words.iter().find(|word| line.contains(**word)).map(|word| (*word).to_owned());
    let lines = file.text.lines().enumerate();
    lines.filter_map(|(at, line)| found(line).map(|word| format!("line {}: `{word}`", at + 1))).collect()
}

fn left_to_do(file: &File) -> Vec<String> {
    lines_with(file, &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")])
}

fn naps(file: &File) -> Vec<String> {
    if !is_source(file) || NAPS.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    lines_with(file, &[concat!("sle", "ep("), concat!("sle", "ep_ms(")])
}

fn names(file: &File) -> Vec<String> {
    let empty = ["util", "utils", "helper", "helpers", "misc", "common", "stuff"];
    let mut parts = file.path.split(['/', '.']);
    Vec::from_iter(parts.find(|part| empty.contains(part)).map(|part| format!("`{part}` says nothing")))
}

fn machine_paths(file: &File) -> Vec<String> {
    lines_with(file, &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/us", "rs/")])
}

fn unsafe_home(file: &File) -> Vec<String> {
    if !is_source(file) || file.path == UNSAFE_HOME {
        return Vec::new();
    }
    lines_with(
        file,
        &[concat!("uns", "afe {"), concat!("uns", "afe fn"), concat!("uns", "afe impl"), concat!("uns", "afe extern")],
    )
}

fn weak_tests(file: &File) -> Vec<String> {
    if !is_source(file) {
        return Vec::new();
    }
    lines_with(file, &[concat!("#[ig", "nore"), concat!("#[should", "_panic")])
}

fn scripts(file: &File) -> Vec<String> {
    let is_script = (file.path.starts_with("scripts/") || file.path == ".ci/run") && !file.path.ends_with(".md");
    let wrong =
        is_script && !(file.text.starts_with("#!/usr/bin/env bash\n") && file.text.contains("\nset -euo pipefail\n"));
    Vec::from_iter(wrong.then(|| "it does not begin with bash and `set -euo pipefail`".to_owned()))
}

fn blanks(file: &File) -> Vec<String> {
    if file.path.ends_with(".snap") || file.path.ends_with(".txt") {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t']));
    lines.map(|(at, _)| format!("line {}", at + 1)).collect()
}

/// Every file that the repository keeps as text of ours.
fn files(root: &Path) -> Vec<File> {
    let skipped = [".git", "target", "Cargo.lock", "LICENSE-APACHE"];
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            if skipped.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(root.join(&path)) {
                found.push(File { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[test]
fn the_repository_is_tidy() {
    let files = files(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(files.len() > 50, "only {} files found", files.len());
    let mut complaints = Vec::new();
    for (title, rule) in RULES {
        for file in &files {
            complaints.extend(rule(file).into_iter().map(|complaint| format!("{}: {complaint} ({title})", file.path)));
        }
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// A row: the rule, a file that it lets pass, and a near miss of which it complains.
fn check(rule: Rule, good: (&str, &str), bad: (&str, &str)) {
    let complaints = |(path, text): (&str, &str)| rule(&File { path: path.to_owned(), text: text.to_owned() });
    assert_eq!(complaints(good), Vec::<String>::new(), "{}: {:.60}", good.0, good.1);
    assert_eq!(complaints(bad).len(), 1, "{}: {:.60}", bad.0, bad.1);
}

/// A function whose text has so many lines, indented by so many blanks.
fn function(lines: usize, indent: usize) -> String {
    let blanks = " ".repeat(indent);
    format!("{blanks}pub(crate) async fn f() {{\n{}{blanks}}}\n", format!("{blanks}    g();\n").repeat(lines - 2))
}

#[test]
fn rules_about_sizes_tell_a_near_miss() {
    let lines = |number: usize| format!("//! A.\n{}", "x\n".repeat(number - 1));
    let items = |number: usize| {
        format!("//! A.\n{}pub use a::b;\n    pub fn method() {{}}\n", "pub fn f() {}\n".repeat(number))
    };
    check(short, ("a/src/b.rs", &lines(400)), ("a/src/b.rs", &lines(401)));
    check(short, ("a/tests/b.rs", &lines(401)), ("a/src/tests.rs", &lines(401)));
    let tested = format!("{}#[cfg(test)]\n{}", lines(400), lines(100));
    check(short, ("a/src/b.rs", &tested), ("a/src/b.rs", &format!("x\n{tested}")));
    check(functions, ("a.rs", &function(70, 0)), ("a.rs", &function(71, 0)));
    check(functions, ("a.rs", &function(70, 4)), ("a.rs", &format!("{}{}", function(3, 0), function(71, 4))));
    check(functions, ("a.md", &function(71, 0)), ("a/tests/b.rs", &function(71, 0)));
    check(public_items, ("a.rs", &items(12)), ("a.rs", &items(13)));
}

#[test]
fn rules_about_words_tell_a_near_miss() {
    let nap = concat!("thread::sle", "ep(second);");
    check(head, ("a.rs", "//! What.\n"), ("a.rs", "// What.\n"));
    check(head, ("a.md", "What"), ("a.rs", "\n//! What.\n"));
    check(left_to_do, ("a.rs", "todo_list"), ("a.md", concat!("// TO", "DO: more")));
    check(naps, ("a.rs", "sleeper.rest();"), ("a.rs", nap));
    check(naps, ("a.md", nap), ("a/tests/b.rs", nap));
    check(names, ("a/src/utility_pole.rs", ""), ("a/src/utils.rs", ""));
    check(names, ("a/src/commons.rs", ""), ("a/common/mod.rs", ""));
    check(machine_paths, ("a.md", "cd eastwest/work"), ("a.md", concat!("cd /ho", "me/me")));
    check(unsafe_home, (UNSAFE_HOME, concat!("uns", "afe { a() }")), ("lab/src/a.rs", concat!("uns", "afe { a() }")));
    check(unsafe_home, ("a.rs", "// it is unsafe to"), ("a.rs", concat!("uns", "afe extern \"C\" {")));
    check(weak_tests, ("a.rs", "#[test]"), ("a.rs", concat!("#[ig", "nore = \"slow\"]")));
    check(weak_tests, ("a.rs", "#[test]"), ("a.rs", concat!("#[should", "_panic(expected = \"a\")]")));
    check(scripts, ("scripts/a", "#!/usr/bin/env bash\nset -euo pipefail\n"), ("scripts/a", "#!/bin/sh\nset -e\n"));
    check(blanks, ("a.rs", "a\n"), ("a.rs", "a \n"));
}

//! What comes out of an import means what Kubernetes says, on cases written by hand: `tests/kubernetes/NAME.yaml`.
//!
//! A case begins with comments: `# with: FILE` for what it is imported with, `# family: v4`, and lines of the form
//! `# allow: A -> B tcp/80 tcp/81` or `# deny: …`, which are written by hand and hold for both: the oracle and the reference.

use std::fs;
use std::path::{Path, PathBuf};

use crate::comparing::Case;
use import::{Options, Source};
use policy::FlowService;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes")
}

fn source(name: &str) -> Source {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Source { name: name.to_owned(), text }
}

/// What a case's first comments say by a word.
pub(crate) fn said<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let comments = text.lines().map_while(|line| line.strip_prefix("# "));
    comments.filter_map(|line| line.strip_prefix(word)?.strip_prefix(": ")).collect()
}

/// What is wrong with a case; and how many flows it was asked about.
fn check(name: &str) -> (Vec<String>, usize) {
    let case = source(name);
    let text = case.text.clone();
    let mut sources: Vec<Source> = said(&text, "with").into_iter().map(source).collect();
    sources.push(case);
    let family = said(&text, "family")
        .first()
        .map(|family| if *family == "v4" { policy::Family::V4 } else { policy::Family::V6 });
    let imported = import::kubernetes(&sources, Options { hosts: 2, family });
    let imported = imported
        .unwrap_or_else(|files| panic!("{name}: {}", files.iter().map(policy::render_plain).collect::<String>()));
    let case = Case::new(&sources, &imported.scenario);
    let (mut wrong, count) = case.differences();
    for (word, passes) in [("allow", true), ("deny", false)] {
        for line in said(&text, word) {
            wrong.extend(golden(&case, line, passes).map(|what| format!("{line}: {what}")));
        }
    }
    for note in said(&text, "note") {
        if !imported.notes.iter().any(|one| one.contains(note)) {
            wrong.push(format!("no note says `{note}`: {:?}", imported.notes));
        }
    }
    (wrong.into_iter().map(|wrong| format!("{name}: {wrong}")).collect(), count)
}

/// What is wrong with a line that was written by hand.
fn golden(case: &Case, line: &str, passes: bool) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [source, "->", destination, services @ ..] = words.as_slice() else { panic!("{line}") };
    let pairs = case.pairs(source, destination);
    assert!(!pairs.is_empty() && !services.is_empty(), "{line} asks nothing");
    let mut asked = pairs
        .iter()
        .flat_map(|pair| services.iter().map(move |service| (pair, service.parse::<FlowService>().unwrap())));
    asked.find_map(|((source, destination), service)| {
        let said = case.both(*source, *destination, service);
        (said != (passes, passes))
            .then(|| format!("the oracle and the reference say {said:?} of {source} {destination} {service}"))
    })
}

#[test]
fn each_case_means_what_kubernetes_says() {
    let mut cases: Vec<String> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    cases.retain(|name| !name.starts_with('_'));
    cases.sort();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let (mut wrong, mut flows) = (Vec::new(), 0);
    for case in &cases {
        let (differences, count) = check(case);
        wrong.extend(differences.into_iter().take(8));
        flows += count;
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
    assert!(flows > 100_000, "only {flows} flows");
    println!("{} cases, {flows} flows", cases.len());
}

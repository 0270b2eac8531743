//! The canonical form of files: what becomes of which, that it stays then, and that it says the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the files that are shipped are read")]

use std::path::{Path, PathBuf};

use policy::{Bundle, FormatError, Source, render_plain};
use proptest::prelude::*;

fn formatted(text: &str) -> Result<String, FormatError> {
    policy::format(&Bundle::from(Source { name: "t.yaml".to_owned(), text: text.to_owned() }))
}

fn format(text: &str) -> String {
    formatted(text).unwrap_or_else(|error| match error {
        FormatError::Mistakes(errors) => panic!("{}\n{text}", render_plain(&errors)),
        FormatError::Fault(fault) => panic!("{fault}\n{text}"),
    })
}

fn check(text: &str, expected: &str) {
    let text = format!("eastwest: policy/v1\n{text}");
    let expected = format!("eastwest: policy/v1\n{expected}");
    assert_eq!(format(&text), expected, "{text}");
    assert_eq!(format(&expected), expected, "it does not stay:\n{expected}");
}

#[test]
fn policies_in_their_canonical_form() {
    check("rules:\n- name: r\n  deny: any\n", "rules:\n  - name: r\n    deny: any\n");
    check(
        "rules:\n    -   name:   r\n        deny:\tany   \n".replace('\t', " ").as_str(),
        "rules:\n  - name: r\n    deny: any\n",
    );
    check(
        "rules:\n- {name: r,deny: [ tcp/1,tcp/2 ,], from: dept=hr}\n",
        "rules:\n  - {name: r, deny: [tcp/1, tcp/2], from: dept = hr}\n",
    );
    check(
        "rules:\n- name: r\n  deny: any\n  from: dept=hr&(app!=db|has   x)\n  to: 'a in(b,\"c  d\")'\n",
        "rules:\n  - name: r\n    deny: any\n    from: dept = hr & (app != db | has x)\n    to: 'a in (b, \"c  d\")'\n",
    );
    check("groups: {a: x=y, b: not(a)}\nowns:   a|b\n", "groups: {a: x = y, b: not (a)}\nowns: a | b\n");
    check(
        "tests:\n- a=b->c=d tcp/1:deny\n- \"any   -> x = y any:  allow  by r\"\n- any  ->  db  tcp/1: deny at source\n",
        "tests:\n  - a = b -> c = d tcp/1: deny\n  - \"any -> x = y any: allow by r\"\n  - any -> db tcp/1: deny at source\n",
    );
    check("\n\n\nmode: enforce\n\n\n\ndefault: deny\n\n\n", "\nmode: enforce\n\ndefault: deny\n");
    check(
        "mode : monitor   # why\r\ndefault:   deny#no comment\n".replace("deny#no comment", "deny").as_str(),
        "mode: monitor   # why\ndefault: deny\n",
    );
}

#[test]
fn comments_and_texts_stay_where_they_belong() {
    check(
        "rules:\n# of r\n- name: r # here\n  deny: any\n  # behind\n# of the default\ndefault: deny\n# at the end\n",
        "rules:\n  # of r\n  - name: r # here\n    deny: any\n    # behind\n# of the default\ndefault: deny\n# at the end\n",
    );
    check(
        "rules:\n- name: r\n  note: |\n     one  \n\n\n       two\n  deny: any\n",
        "rules:\n  - name: r\n    note: |\n      one  \n\n\n        two\n    deny: any\n",
    );
    check(
        "rules:\n- name: r\n  note: |2-\n     one\n  deny: any\n",
        "rules:\n  - name: r\n    note: |2-\n       one\n    deny: any\n",
    );
    check(
        "rules:\n- name: r\n  deny: [tcp/1,\n    tcp/2]   \n  note: \"a\n\n\n    b\"\n",
        "rules:\n  - name: r\n    deny: [tcp/1,\n      tcp/2]\n    note: \"a\n\n\n      b\"\n",
    );
    check("rules:\n- &a\n  name: r\n  deny: any\n", "rules:\n- &a\n  name: r\n  deny: any\n");
}

#[test]
fn a_comment_stands_no_less_deep_than_what_follows_it() {
    check("rules:\n    # far\n- name: r\n  deny: any\n", "rules:\n  # far\n  - name: r\n    deny: any\n");
}

#[test]
fn a_text_keeps_the_empty_lines_that_it_ends_with() {
    let text = "rules:\n- name: r\n  deny: any\n  note: |+\n   a\n\n\n";
    check(text, "rules:\n  - name: r\n    deny: any\n    note: |+\n      a\n\n\n");
}

#[test]
fn other_files_keep_their_columns() {
    let text = "eastwest: scenario/v1\ntopology:\n    vms:\n        a:   {host: x,labels: {}}\n        long: {host:  y}\npolicy:\n    rules:\n    - {name: r, deny: any, from: a=b}\nsteps:\n- expect:\n  - a -> b   tcp/1: deny\n";
    let expected = "eastwest: scenario/v1\ntopology:\n  vms:\n    a:   {host: x, labels: {}}\n    long: {host: y}\npolicy:\n  rules:\n    - {name: r, deny: any, from: a = b}\nsteps:\n  - expect:\n      - a -> b   tcp/1: deny\n";
    assert_eq!(format(text), expected);
    assert_eq!(format(expected), expected);
}

#[test]
fn what_has_mistakes_is_left_alone() {
    for text in
        ["", "eastwest: policy/v1\nrules: {\n", "eastwest: policy/v1\nrules: x\n", "eastwest: scenario/v1\na: [\n"]
    {
        assert!(matches!(formatted(text), Err(FormatError::Mistakes(_))), "{text}");
    }
}

/// All files that the project ships.
fn shipped() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut open: Vec<PathBuf> = ["scenarios", "src/init", "examples"].iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn shipped_files_are_in_their_canonical_form() {
    let files = shipped();
    assert!(files.len() > 60, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let source = Source { name: path.display().to_string(), text: text.clone() };
        let mut open = |name: &str| std::fs::read_to_string(name).map_err(|error| error.to_string());
        let bundle = Bundle::load(vec![source], &mut open).unwrap();
        let found = policy::format(&bundle).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        assert_eq!(found, text, "{}", path.display());
    }
}

/// A shipped file in which spaces, empty lines and comments came and went.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0usize..6);
    let files: Vec<String> = shipped().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    (prop::sample::select(files), prop::collection::vec(change, 0..20), 0usize..3).prop_map(
        |(text, changes, deeper)| {
            let mut lines: Vec<String> =
                text.lines().map(|line| format!("{}{line}", " ".repeat(indent(line) * deeper))).collect();
            for (place, kind) in changes {
                let at = place.index(lines.len());
                match kind {
                    0 => lines.insert(at, String::new()),
                    1 => lines.insert(at, format!("{}# note", " ".repeat(indent(&lines[at])))),
                    2 => lines[at].push_str("  "),
                    3 => lines[at] = lines[at].replace(", ", ","),
                    4 => lines[at] = lines[at].replacen(": ", ":   ", 1),
                    _ => lines[at] = lines[at].replacen("- ", "-  ", 1),
                }
            }
            lines.join("\r\n")
        },
    )
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_canonical_form_stays(text in mutated()) {
        match formatted(&text) {
            Ok(once) => assert_eq!(format(&once), once, "{text}"),
            Err(FormatError::Mistakes(_)) => {}
            Err(FormatError::Fault(fault)) => panic!("{fault}\n{text}"),
        }
    }

    #[test]
    fn no_text_panics(text in "[ \\n#:,\\-\\[\\]{}|>\"'&*!?a-c0-2\t\r]{0,60}", policy in any::<bool>()) {
        let head = if policy { "eastwest: policy/v1\n" } else { "" };
        if let Ok(once) = formatted(&format!("{head}{text}")) {
            assert_eq!(format(&once), once, "{text:?}");
        }
    }
}

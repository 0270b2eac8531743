//! The tree of a YAML text: nothing is coerced, every place is right, and what should have been quoted is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use policy::yaml::{self, Node, Style, Text, Value};
use policy::{Problems, line_and_column, render_plain};

fn read(source: &str) -> (Option<Node>, String) {
    let mut problems = Problems::default();
    let root = yaml::tree(source, &mut problems);
    (root, problems.into_errors("t.yaml", source).map(|errors| render_plain(&errors)).unwrap_or_default())
}

fn value<'n>(node: &'n Node, path: &str) -> &'n Text {
    let mut at = node;
    for step in path.split('/') {
        at = match &at.value {
            Value::Mapping(entries) => &entries.iter().find(|entry| entry.key.as_str() == step).expect(step).value,
            Value::Sequence(items) => &items[step.parse::<usize>().unwrap()],
            Value::Scalar(text) => panic!("{text:?} at {step}"),
        };
    }
    at.as_text().unwrap()
}

/// The text at a path, and the line and column of a part of it.
fn check(source: &str, path: &str, text: &str, part: &str, place: (usize, usize)) {
    let (root, said) = read(source);
    assert_eq!(said, "", "{source}");
    let root = root.unwrap();
    let found = value(&root, path);
    assert_eq!(found.as_str(), text, "{source}");
    let at = text.find(part).unwrap();
    let span = found.place(at..at + part.len());
    assert_eq!(line_and_column(source, span.start), place, "{source:?}: {part:?} at {span:?}");
}

#[test]
fn texts_are_as_written_and_every_byte_has_its_place() {
    check("a: no\n", "a", "no", "o", (1, 5));
    check("a: 1.10", "a", "1.10", "10", (1, 6));
    check("a: 00123", "a", "00123", "123", (1, 6));
    check("a: ~", "a", "~", "~", (1, 4));
    check("a: null", "a", "null", "ll", (1, 6));
    check("é: ü x", "é", "ü x", "x", (1, 6));
    check("a:\n  - x\n  - y = z # why\n", "a/1", "y = z", "z", (3, 9));
    check("a: {b: [c, 'd e']}", "a/b/1", "d e", "e", (1, 15));
    check("a: \"d e\"", "a", "d e", "e", (1, 7));
    check(r#"a: "x \"y\" z""#, "a", r#"x "y" z"#, "z", (1, 13));
    check(r#"a: "\u00e9 z""#, "a", "é z", "z", (1, 12));
    check("a: 'it''s z'", "a", "it's z", "z", (1, 11));
    check("a: x\n  y z\n", "a", "x y z", "z", (2, 5));
    check("a: |\n  x\n    y\n\n  z\n", "a", "x\n  y\n\nz\n", "z", (5, 3));
    check("a: |\n  x\n    y\n\n  z\n", "a", "x\n  y\n\nz\n", "y", (3, 5));
    check("a: >-\n  x\n  y\n", "a", "x y", "y", (3, 3));
    check("a: &k [v]\nb: *k\n", "b/0", "v", "v", (1, 8));
    check("a: b\r\nc: d e\r\n", "c", "d e", "e", (2, 6));
    check("a: |\r\n  x\r\n  y\r\n", "a", "x\ny\n", "y", (3, 3));
    check("- a -> b tcp/1", "0", "a -> b tcp/1", "tcp", (1, 10));
}

#[test]
fn what_yaml_cannot_read_is_said_with_its_place() {
    for (source, wanted) in [
        ("", "the file is empty"),
        ("a: *b c", "quote this: a leading `*`"),
        ("a: *b", "quote this: a leading `*`"),
        ("- *-web -> db tcp/1: deny\n", "quote this: a leading `*`"),
        ("- * -> db tcp/1: deny\n", "quote this: a leading `*`"),
        ("a: !b", "quote this: a leading `!`"),
        ("a: !b = c", "quote this: a leading `!`"),
        ("a: & b", "quote this: a leading `&`"),
        ("- @b", "quote this: a leading `@`"),
        ("a: {b: x in (c, d), e: f}", "quote this: YAML's flow style"),
        ("a: [x in (c, d, e), f]", "quote this: YAML's flow style"),
        ("a: [x = \"c, d\", f]", "quote this: YAML's flow style"),
        ("a: 1\nb: 2\na: 3\n", "`a` stands here a second time"),
        ("{a: 1, a: 3}", "`a` stands here a second time"),
        ("a: \"b c\" = d", "quote this: YAML takes these quotes"),
        ("- 'b' -> c tcp/1", "quote this: YAML takes these quotes"),
        ("- \"*\" -> db tcp/1: deny", "quote this: YAML takes these quotes"),
        ("a: b: c", "a text that holds `: ` must be quoted"),
        ("a: [b", "not YAML"),
        ("a: \"b", "not YAML"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("[a]: 1", "a key must be a text"),
        (&"[".repeat(100), "not YAML"),
        (&"- ".repeat(100), "not YAML"),
        ("a: &k [*k]", "an alias inside of what it stands for"),
    ] {
        let (_, said) = read(source);
        assert!(said.contains(wanted), "{source:?}\n{said}");
    }
}

#[test]
fn aliases_do_not_explode() {
    let mut source = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        source.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", ")));
    }
    let (root, said) = read(&source);
    assert!(root.is_none() && said.contains("the aliases of this file"), "{said}");
}

#[test]
fn a_split_text_is_read_whole() {
    let (root, _) = read("a: {b: x in (c, d), e: f}");
    let root = root.unwrap();
    assert_eq!(value(&root, "a/b").as_str(), "x in (c, d)");
    assert_eq!(value(&root, "a/e").as_str(), "f");
    assert_eq!(value(&root, "a/b").style(), Style::Plain);
}

#[test]
fn a_one_key_mapping_is_a_line() {
    let source = "- a -> b tcp/1: allow by r\n- 'a -> b tcp/1: deny'\n";
    let mut problems = Problems::default();
    let root = yaml::tree(source, &mut problems).unwrap();
    let lines: Vec<String> = yaml::one_or_many(&root)
        .iter()
        .map(|node| yaml::line(source, node, "an expectation", &mut problems).unwrap().as_str().to_owned())
        .collect();
    assert_eq!(lines, ["a -> b tcp/1: allow by r", "a -> b tcp/1: deny"]);
}

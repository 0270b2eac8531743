//! No text makes the parser panic, and what it reads it can write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use policy::{Bundle, Selector, Source, parse, parse_selector, parse_services, render_plain, unused};
use proptest::prelude::*;

const VALID: [&str; 3] = [
    include_str!("../../scenarios/departments.yaml"),
    include_str!("bad/quote-comma.yaml"),
    "eastwest: policy/v1\ngroups: {a: [10.0.0.0/8, not 10.1.0.0/16], \"b\": 'x = \"y\" | a'}\nrules:\n- name: r\n  allow: [tcp, icmp/8]\n  note: |\n    über\n      alles\n  from: \"\\u0061\"\n  until: 2027-01-31T18:00:00Z\n",
];
const PIECES: [&str; 24] = [
    "*", "!", "&", "|", "{", "}", "[", "]", ": ", ", ", "\n", "\t", "\"", "'", "- ", "#", "é", "\u{0}", "\r\n", ">",
    "\\", "~", "not ", "(",
];

/// Reads a text, and shows what is wrong with it: neither may panic, and each place lies in the text.
fn check(text: &str) {
    let _ = unused(&Bundle::from(Source { name: "t".to_owned(), text: text.to_owned() }));
    if let Err(errors) = parse("t", text) {
        let _ = render_plain(&errors);
        assert!(errors.problems().len() > 0);
        for problem in errors.problems() {
            assert!(
                problem.span.start <= problem.span.end && problem.span.end <= text.len(),
                "{problem:?} in {text:?}"
            );
        }
    }
}

/// A valid file with some places cut, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0usize..12, prop::sample::select(PIECES.to_vec()));
    (prop::sample::select(VALID.to_vec()), prop::collection::vec(change, 1..6)).prop_map(|(text, changes)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (place, cut, piece) in changes {
            let at = place.index(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

fn selector() -> impl Strategy<Value = Selector> {
    let word =
        || prop::sample::select(vec!["a", "not", "in", "has", "any", "x y", "", "k/ü", "1.10"]).prop_map(str::to_owned);
    let key = || word().prop_filter("a key is not empty", |key| !key.is_empty());
    let leaf = prop_oneof![
        Just(Selector::Any),
        Just(Selector::Vms),
        Just(Selector::Outside),
        key().prop_map(Selector::Has),
        (key(), word()).prop_map(|(key, value)| Selector::Equals(key, value)),
        (key(), word()).prop_map(|(key, value)| Selector::Differs(key, value)),
        (key(), prop::collection::vec(word(), 1..4)).prop_map(|(key, values)| Selector::In(key, values)),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Selector::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::And),
            prop::collection::vec(inner, 2..4).prop_map(Selector::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text(text in any::<String>()) {
        check(&text);
        let _ = parse_selector(&text, &BTreeMap::new());
        let _ = parse_services(&text, &BTreeMap::new());
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn random_pieces(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)) {
        check(&pieces.concat());
    }

    #[test]
    fn a_valid_file_changed(text in mutated()) {
        check(&text);
    }

    #[test]
    fn a_selector_that_is_written_reads_the_same(selector in selector()) {
        let text = selector.to_string();
        prop_assert_eq!(parse_selector(&text, &BTreeMap::new()), Ok(selector), "{}", text);
    }
}

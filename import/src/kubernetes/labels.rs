//! Labels and label selectors.

use policy::yaml::{self, Entry, Fields, Node, Text};
use policy::{Problem, Selector};

use super::{NAMESPACE, OF_NAMESPACE};
use crate::source::Document;
use crate::yaml::{given, is_decimal, is_null, is_surely_text, list, required};

/// How an expression compares.
#[derive(Clone, Copy)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

const OPERATORS: [(&str, Operator); 4] = [
    ("In", Operator::In),
    ("NotIn", Operator::NotIn),
    ("Exists", Operator::Exists),
    ("DoesNotExist", Operator::DoesNotExist),
];

/// Whose labels a selector is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Pods,
    Namespaces,
}

impl Of {
    fn key(self, key: &str) -> String {
        match self {
            Self::Pods => key.to_owned(),
            Self::Namespaces => format!("{OF_NAMESPACE}{key}"),
        }
    }
}

/// A label's key.
fn key(text: &Text, document: &mut Document) -> Option<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let right = !text.as_str().is_empty() && text.as_str().chars().all(word);
    // A number in decimal is the same text.
    checked(text, "key", right, document).filter(|_| is_decimal(text) || is_surely_text(text, document))
}

/// A label's value, as it is written; nothing is an empty one.
fn value(node: &Node, document: &mut Document) -> Option<String> {
    if is_null(node) {
        return Some(String::new());
    }
    let Some(text) = node.as_text() else {
        document.wrong(node.span, format!("the value of a label is a text, and this is {}", node.kind()));
        return None;
    };
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let right = text.as_str().len() <= 63 && text.as_str().chars().all(word);
    checked(text, "value", right, document).filter(|_| is_surely_text(text, document))
}

fn checked(text: &Text, what: &str, right: bool, document: &mut Document) -> Option<String> {
    if !right {
        document.problems.report(Problem::new(text.span(), format!("`{}` is no label's {what}", text.as_str())));
    }
    right.then(|| text.as_str().to_owned())
}

/// The pods of a namespace.
pub(super) fn namespace(name: &str) -> Selector {
    Selector::Equals(Of::Namespaces.key(NAMESPACE), name.to_owned())
}

/// What must hold of labels, all of it; nothing where everything is meant. `None` if it is wrong.
pub(super) fn selector(node: &Node, of: Of, document: &mut Document) -> Option<Vec<Selector>> {
    let before = document.problems.count();
    let known = ["matchLabels", "matchExpressions"];
    let fields = Fields::of(node, "a label selector", &known, &mut document.problems)?;
    let mut parts = given(&fields, "matchLabels").map(|node| equal(node, of, document)).unwrap_or_default();
    for item in list(&fields, "matchExpressions", document) {
        parts.extend(expression(item, of, document));
    }
    (document.problems.count() == before).then_some(parts)
}

/// Labels that must be exactly these.
pub(super) fn equal(node: &Node, of: Of, document: &mut Document) -> Vec<Selector> {
    let labels = pairs(node, document).into_iter();
    labels.map(|(key, value)| Selector::Equals(of.key(&key), value)).collect()
}

/// Labels with their values; what is wrong is left out, and told.
pub(super) fn pairs(node: &Node, document: &mut Document) -> Vec<(String, String)> {
    let entries = yaml::pairs(node, "labels", &mut document.problems).unwrap_or_default();
    let pair = |entry: &Entry| key(&entry.key, document).zip(value(&entry.value, document));
    entries.iter().filter_map(pair).collect()
}

fn expression(node: &Node, of: Of, document: &mut Document) -> Option<Selector> {
    let fields = Fields::of(node, "an expression", &["key", "operator", "values"], &mut document.problems)?;
    let written = required(&fields, "key", document);
    let written = written.and_then(|node| yaml::text(node, "a label's key", &mut document.problems));
    let key = written.and_then(|text| key(text, document)).map(|key| of.key(&key));
    let operator = required(&fields, "operator", document);
    let operator = operator.and_then(|node| yaml::word(node, &OPERATORS, &mut document.problems));
    let items = list(&fields, "values", document);
    let values: Vec<String> = items.iter().filter_map(|item| value(item, document)).collect();
    let (key, operator) = (key?, operator?);
    let wants_values = matches!(operator, Operator::In | Operator::NotIn);
    if wants_values == items.is_empty() {
        let message = if wants_values { "`In` and `NotIn` need values" } else { "this operator takes no values" };
        document.wrong(fields.entry("operator").map_or(node.span, |entry| entry.value.span), message);
        return None;
    }
    Some(match operator {
        Operator::In => Selector::In(key, values),
        Operator::NotIn => Selector::Not(Box::new(Selector::In(key, values))),
        Operator::Exists => Selector::Has(key),
        Operator::DoesNotExist => Selector::Not(Box::new(Selector::Has(key))),
    })
}

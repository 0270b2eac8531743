//! `<<`: a mapping that takes what it does not say itself from others.

use policy::yaml::{Entry, Node, Style, Value, one_or_many};
use policy::{Problem, Problems};

/// A tree in which mappings say what their `<<` stands for. Of several the first that says a thing counts.
pub(crate) fn expanded(node: Node, problems: &mut Problems) -> Node {
    let value = match node.value {
        Value::Mapping(entries) => Value::Mapping(merged(entries, problems)),
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(|item| expanded(item, problems)).collect()),
        Value::Scalar(text) => Value::Scalar(text),
    };
    Node { value, span: node.span }
}

fn merged(entries: Vec<Entry>, problems: &mut Problems) -> Vec<Entry> {
    let entries = entries.into_iter().map(|Entry { key, value }| Entry { key, value: expanded(value, problems) });
    let is_merge = |entry: &Entry| entry.key.as_str() == "<<" && entry.key.style() == Style::Plain;
    let (merges, mut own): (Vec<Entry>, Vec<Entry>) = entries.partition(is_merge);
    for source in merges.iter().flat_map(|merge| one_or_many(&merge.value)) {
        let Value::Mapping(more) = &source.value else {
            problems.report(Problem::new(source.span, format!("`<<` takes mappings, and this is {}", source.kind())));
            continue;
        };
        for entry in more {
            if own.iter().all(|other| other.key.as_str() != entry.key.as_str()) {
                own.push(entry.clone());
            }
        }
    }
    own
}

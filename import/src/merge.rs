//! `<<`: a mapping that takes what it does not say itself from others. Where it stands behind a key that it says too, one reader takes the
//! one and another the other; that is told.

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
    let merge = merges.first().map(|merge| merge.key.span());
    let before: Vec<String> = own
        .iter()
        .filter(|entry| merge.is_some_and(|merge| entry.key.span().start < merge.start))
        .map(|entry| entry.key.as_str().to_owned())
        .collect();
    for source in merges.iter().flat_map(|merge| one_or_many(&merge.value)) {
        let Value::Mapping(more) = &source.value else {
            problems.report(Problem::new(source.span, format!("`<<` takes mappings, and this is {}", source.kind())));
            continue;
        };
        for entry in more {
            if let (Some(merge), true) = (merge, before.iter().any(|key| key == entry.key.as_str())) {
                let message = format!("`<<` says `{}`, which stands here before it", entry.key.as_str());
                problems.report(Problem::new(merge, message).help("which of the two holds is open: write `<<` first"));
            } else if own.iter().all(|other| other.key.as_str() != entry.key.as_str()) {
                own.push(entry.clone());
            }
        }
    }
    own
}

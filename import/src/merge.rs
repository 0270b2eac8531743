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
    let is_merge = |entry: &Entry| entry.key.as_str() == "<<" && entry.key.style() == Style::Plain;
    let before = entries.iter().position(is_merge).unwrap_or(entries.len());
    let entries = entries.into_iter().map(|Entry { key, value }| Entry { key, value: expanded(value, problems) });
    let (merges, mut own): (Vec<Entry>, Vec<Entry>) = entries.partition(is_merge);
    for (merge, source) in merges.iter().flat_map(|merge| one_or_many(&merge.value).iter().map(move |one| (merge, one)))
    {
        let Value::Mapping(more) = &source.value else {
            problems.report(Problem::new(source.span, format!("`<<` takes mappings, and this is {}", source.kind())));
            continue;
        };
        for entry in more {
            match own.iter().position(|other| other.key.as_str() == entry.key.as_str()) {
                Some(place) if place < before => {
                    let message = format!("`<<` says `{}`, which stands here before it", entry.key.as_str());
                    let problem = Problem::new(merge.key.span(), message);
                    problems.report(problem.help("which of the two holds is open: write `<<` first"));
                }
                Some(_) => {}
                None => own.push(entry.clone()),
            }
        }
    }
    own
}

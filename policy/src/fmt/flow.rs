//! Lists and mappings in YAML's flow style, and the texts in them.

use super::place::{Path, Role};
use super::spacing;
use crate::yaml::{Entry, Node, Style, Text, Value};

/// Whether a list or mapping is in flow style; a block begins where its first item or key does.
pub(super) fn is_flow(source: &str, node: &Node) -> bool {
    let (opens, first) = match &node.value {
        Value::Scalar(_) => return false,
        Value::Sequence(items) => ('[', items.first().map(|item| item.span.start)),
        Value::Mapping(entries) => ('{', entries.first().map(|entry| entry.key.span().start)),
    };
    first != Some(node.span.start) && source.get(node.span.start..).is_some_and(|rest| rest.starts_with(opens))
}

/// A flow list or mapping of one line; `None` where it holds what is no list, mapping or text, and is to stay as it is.
pub(super) fn flow(source: &str, node: &Node, path: &Path<'_>) -> Option<String> {
    let written = source.get(node.span.start..node.span.end).filter(|written| !written.contains('\n'))?;
    let told = told(source, node, path)?;
    let bare = |text: &str| text.replace(",}", "}").replace(",]", "]");
    let squeezed = |text: &str| bare(&text.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    (squeezed(written) == squeezed(&told)).then_some(told)
}

fn told(source: &str, node: &Node, path: &Path<'_>) -> Option<String> {
    match &node.value {
        Value::Scalar(text) => scalar(source, text, path),
        Value::Sequence(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| told(source, item, path)).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Value::Mapping(entries) => {
            let told: Option<Vec<String>> = entries.iter().map(|one| entry(source, one, path)).collect();
            let told = told?.join(", ");
            Some(if is_flow(source, node) { format!("{{{told}}}") } else { told })
        }
    }
}

fn entry(source: &str, Entry { key, value }: &Entry, path: &Path<'_>) -> Option<String> {
    let written = source.get(key.span().start..key.span().end)?;
    let colon = source.get(key.span().end..)?.trim_start().starts_with(':');
    if value.is_absent() {
        return Some(format!("{written}{}", if colon { ":" } else { "" }));
    }
    Some(format!("{written}: {}", told(source, value, &path.under(key.as_str()))?))
}

fn scalar(source: &str, text: &Text, path: &Path<'_>) -> Option<String> {
    let span = text.span();
    let written = source.get(span.start..span.end)?;
    match respaced(source, text, path.role()) {
        Some((at, new)) => {
            let (from, to) = (at.start - span.start, at.end - span.start);
            Some(format!("{}{new}{}", written.get(..from)?, written.get(to..)?))
        }
        None => Some(written.to_owned()),
    }
}

/// A selector or claim with canonical spaces, and the place of what it replaces inside of YAML's quotes.
pub(super) fn respaced(source: &str, text: &Text, role: Role) -> Option<(std::ops::Range<usize>, String)> {
    let new = match role {
        Role::Selector => spacing::selector(text.as_str()),
        Role::Claim => spacing::claim(text.as_str()),
        Role::Other => None,
    }?;
    let inner = text.place(0..text.as_str().len());
    let verbatim = source.get(inner.start..inner.end) == Some(text.as_str());
    (verbatim && text.style() != Style::Block).then_some((inner.start..inner.end, new))
}

//! Walking a tree: each function reports what is wrong and gives what is right.

use std::str::FromStr;

use super::{Entry, Node, Text, Value};
use crate::suggest::list;
use crate::{Name, Problem, Problems, Span, TextError, did_you_mean};

/// The entries of a mapping whose keys are known.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'n> {
    what: &'n str,
    span: Span,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// The fields of `what` ("a rule"). Keys that are not known are reported, with what may have been meant.
    pub fn of(node: &'n Node, what: &'n str, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let entries = pairs(node, what, problems)?;
        for Entry { key, .. } in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let problem = Problem::new(key.span(), format!("{what} has no key `{}`", key.as_str()));
            problems.report(problem.maybe_help(did_you_mean(key.as_str(), known)));
        }
        Some(Self { what, span: node.span, entries })
    }

    /// The value of a key, if it stands there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The key and its value, if it stands there.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key.as_str() == key)
    }

    /// All entries, in the order written.
    #[must_use]
    pub fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// The place of the whole mapping.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The value of a key that must be there.
    pub fn require(&self, key: &str, problems: &mut Problems) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            let first = self.entries.first().map_or(self.span, |entry| entry.key.span());
            problems.report(Problem::new(first, format!("{} needs the key `{key}`", self.what)));
        }
        found
    }
}

fn unexpected(node: &Node, what: &str) -> Problem {
    let span = match node.value {
        Value::Scalar(_) => node.span,
        Value::Sequence(_) | Value::Mapping(_) => first_of(node),
    };
    Problem::new(span, format!("expected {what}, found {}", node.kind()))
}

/// The beginning of a list or mapping: a report need not underline all of it.
fn first_of(node: &Node) -> Span {
    match &node.value {
        Value::Scalar(text) => text.span(),
        Value::Sequence(items) => items.first().map_or(node.span, first_of),
        Value::Mapping(entries) => entries.first().map_or(node.span, |entry| entry.key.span()),
    }
}

/// The text of a node; `what` is what it should be ("a name").
pub fn text<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Option<&'n Text> {
    let text = node.as_text().filter(|text| !text.is_absent());
    if text.is_none() {
        problems.report(unexpected(node, what));
    }
    text
}

/// The items of a list.
pub fn items<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Option<&'n [Node]> {
    match &node.value {
        Value::Sequence(items) => Some(items),
        Value::Scalar(_) | Value::Mapping(_) => {
            problems.report(unexpected(node, what));
            None
        }
    }
}

/// The keys and values of a mapping whose keys are free.
pub fn pairs<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Mapping(entries) => Some(entries),
        Value::Scalar(_) | Value::Sequence(_) => {
            problems.report(unexpected(node, &format!("{what} (keys and values)")));
            None
        }
    }
}

/// The items of a list, or the one thing that stands there instead.
#[must_use]
pub fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    }
}

/// A text that a type can read, such as an address.
pub fn parsed<T: FromStr>(node: &Node, what: &str, problems: &mut Problems) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    let text = text(node, what, problems)?;
    match text.as_str().parse() {
        Ok(value) => Some(value),
        Err(error) => {
            problems.report(Problem::new(text.span(), format!("`{}` is not {what}: {error}", text.as_str())));
            None
        }
    }
}

/// One of a few words.
pub fn word<T: Copy>(node: &Node, words: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let text = text(node, &format!("one of {}", list(&known)), problems)?;
    let found = words.iter().find(|(word, _)| *word == text.as_str()).map(|(_, value)| *value);
    if found.is_none() {
        let problem = Problem::new(text.span(), format!("`{}` is none of {}", text.as_str(), list(&known)));
        let meant = crate::nearest(text.as_str(), known).map(|word| format!("did you mean `{word}`?"));
        problems.report(problem.maybe_help(meant));
    }
    found
}

/// `true` or `false`.
pub fn flag(node: &Node, problems: &mut Problems) -> Option<bool> {
    word(node, &[("true", true), ("false", false)], problems)
}

/// A name (semantics 8); `what` is what it names ("a rule").
pub fn name(text: &Text, what: &str, problems: &mut Problems) -> Option<Name> {
    if text.as_str() == "default" || text.as_str().starts_with("eastwest/") {
        let message = format!("`{}` is reserved: {what} needs a name of its own", text.as_str());
        problems.report(Problem::new(text.span(), message));
        return None;
    }
    match text.as_str().parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let error = TextError::new(0..text.as_str().len(), format!("not a name for {what}: {error}"));
            problems.report(Problem::within(text, error));
            None
        }
    }
}

/// A line of text that YAML may have made a one-key mapping of (`a -> b tcp/1: allow`): the text as it was written.
pub fn line(source: &str, node: &Node, what: &str, problems: &mut Problems) -> Option<Text> {
    match &node.value {
        Value::Mapping(entries) if entries.len() == 1 && entries[0].value.as_text().is_some() => {
            let span = entries[0].key.span().to(entries[0].value.span);
            source.get(span.start..span.end).map(|written| Text::verbatim(written, span.start))
        }
        Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => text(node, what, problems).cloned(),
    }
}

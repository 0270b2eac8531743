//! From a byte of a text to its byte in the source, through YAML's quotes, escapes, folding and indentation.

use std::ops::Range;
use std::sync::Arc;

use crate::Span;

/// Where the bytes of a text stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// One after the other from a byte of the source on.
    From(usize),
    /// Each at its own place, and at last the place after the end.
    Each(Arc<[usize]>),
}

impl Places {
    /// The places of a text that was written as a stretch of the source.
    pub(super) fn align(source: &str, written: Range<usize>, text: &str) -> Self {
        let raw = source.get(written.clone()).unwrap_or_default();
        if raw == text {
            return Self::From(written.start);
        }
        let quote = raw.chars().next().filter(|first| matches!(first, '"' | '\''));
        if let Some(inner) = quote.and_then(|quote| raw.get(1..)?.strip_suffix(quote))
            && inner == text
        {
            return Self::From(written.start + 1);
        }
        let skipped = match (raw.chars().next(), raw.find('\n')) {
            (Some('|' | '>'), Some(newline)) => newline + 1,
            (Some('"' | '\''), _) => 1,
            _ => 0,
        };
        Self::Each(walk(raw, skipped, text, quote).into_iter().map(|at| at + written.start).collect())
    }

    /// The place of a range of bytes of the text, inside the text's own span.
    pub(super) fn of(&self, range: Range<usize>, whole: Span) -> Span {
        let at = |byte: usize| match self {
            Self::From(start) => start + byte,
            Self::Each(each) => each.get(byte).or(each.last()).copied().unwrap_or(whole.start),
        };
        let start = at(range.start).clamp(whole.start, whole.end);
        let end = if range.end > range.start { at(range.end - 1) + 1 } else { start };
        Span { start, end: end.clamp(start, whole.end.max(start)) }
    }

    /// The places of a part of the text.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        match self {
            Self::From(start) => Self::From(start + range.start),
            Self::Each(each) => Self::Each(each.get(range.start..=range.end).unwrap_or_default().into()),
        }
    }
}

/// Follows the text through what was written: equal characters are the same, and written whitespace may have been folded away.
fn walk(raw: &str, mut at: usize, text: &str, quote: Option<char>) -> Vec<usize> {
    let mut places = Vec::with_capacity(text.len() + 1);
    for wanted in text.chars() {
        at = next(raw, at, wanted);
        let long = written_length(&raw[at..], wanted, quote);
        places.extend((0..wanted.len_utf8()).map(|byte| if long == wanted.len_utf8() { at + byte } else { at }));
        at += long;
    }
    places.push(at);
    places
}

/// The next byte at which a character can have been written.
fn next(raw: &str, at: usize, wanted: char) -> usize {
    if wanted.is_whitespace() {
        return at;
    }
    raw[at..].find(|c: char| !c.is_whitespace()).map_or(at, |skipped| at + skipped)
}

/// How many bytes were written for a character: an escape is longer than what it stands for.
fn written_length(raw: &str, wanted: char, quote: Option<char>) -> usize {
    let mut written = raw.chars();
    match (written.next(), quote) {
        (Some('\\'), Some('"')) => {
            let long = match written.next() {
                Some('x') => 4,
                Some('u') => 6,
                Some('U') => 10,
                Some(other) => 1 + other.len_utf8(),
                None => 1,
            };
            if raw.is_char_boundary(long) { long } else { raw.len() }
        }
        (Some('\''), Some('\'')) => raw.len().min(2),
        (Some(first), _) if first == wanted || first.is_whitespace() => first.len_utf8(),
        (Some(_), _) if wanted.is_whitespace() => 0,
        (Some(first), _) => first.len_utf8(),
        (None, _) => 0,
    }
}

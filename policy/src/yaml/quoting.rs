//! What YAML does to a text that should have been quoted, and the advice to quote it (semantics 36).

use super::{Entry, Node, Text, Value};
use crate::{Problem, Problems, Span};

/// How many pieces of a split text are looked at.
const PIECES: usize = 32;

/// A text begins with a character that means something else to YAML.
pub(super) fn quote_this(source: &str, span: Span, mark: char) -> Problem {
    let line_start = source.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let before = source.get(line_start..span.start).unwrap_or_default();
    let start = match before.rfind(mark) {
        Some(at) if !source.get(span.start..).is_some_and(|rest| rest.starts_with(mark)) => line_start + at,
        _ => span.start,
    };
    let rest = source.get(start..).unwrap_or_default();
    let end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
    let written = source.get(start..end).unwrap_or_default().trim_end();
    let meaning = match mark {
        '*' => "an alias",
        '!' => "a tag",
        '&' => "an anchor",
        _ => "something else",
    };
    Problem::new(
        Span::from(start..start + written.len()),
        format!("quote this: a leading `{mark}` is {meaning} to YAML"),
    )
    .help("put the text in quotes: \"…\"")
}

/// The parser's own complaint; where the line holds a text that begins with one of YAML's marks, the advice to quote it.
pub(super) fn not_yaml(source: &str, at: usize, complaint: &str) -> Problem {
    let at = (0..=at.min(source.len())).rev().find(|&at| source.is_char_boundary(at)).unwrap_or(0);
    let start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = source[start..].lines().next().unwrap_or_default();
    let marks = ['*', '!', '&', '@', '`', '%'];
    if let Some((offset, mark)) = values(line).find(|(_, first)| marks.contains(first)) {
        return quote_this(source, Span::from(start + offset..start + line.len()), mark);
    }
    if let Some((offset, quote)) = values(line).find(|(offset, first)| half_quoted(&line[*offset..], *first)) {
        let problem = Problem::new(
            Span::from(start + offset..start + line.len()),
            "quote this: YAML takes these quotes for its own",
        );
        let other = if quote == '"' { '\'' } else { '"' };
        return problem.help(format!("put the whole text in quotes of the other kind: {other}…{other}"));
    }
    let end = source[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    let problem = Problem::new(Span::from(at..end), format!("not YAML: {complaint}"));
    if line.matches(": ").count() > 1 && !line.trim_start().starts_with(['{', '[']) {
        return problem.help("a text that holds `: ` must be quoted");
    }
    problem
}

/// Where values of a line may begin, with their first characters.
fn values(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut opens = true;
    line.char_indices().filter(move |(offset, c)| {
        let begins = opens && !matches!(c, ' ' | '-' | '[' | '{');
        let after = line[offset + c.len_utf8()..].starts_with(' ');
        opens = match c {
            ' ' | '[' | '{' => opens || *c != ' ',
            ':' | ',' => after,
            '-' => opens && after,
            _ => false,
        };
        begins
    })
}

/// Whether a value begins with quotes that end before it does.
fn half_quoted(value: &str, quote: char) -> bool {
    let rest = match quote {
        '"' | '\'' => value[1..].split_once(quote).map(|(_, rest)| rest.trim_start()),
        _ => None,
    };
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with([',', ']', '}', '#', ':', '\'']))
}

/// Whether a plain text ends inside a parenthesis or quotes: a comma of YAML's flow style ended it too early.
fn unfinished(text: &str) -> bool {
    text.matches('(').count() > text.matches(')').count() || text.matches('"').count() % 2 == 1
}

fn plain(node: &Node) -> Option<&Text> {
    node.as_text().filter(|text| text.style() == super::Style::Plain)
}

/// Joins the pieces of a text from one place of the source to another, and reports it.
fn join(source: &str, whole: Span, problems: &mut Problems) -> Node {
    let written = source.get(whole.start..whole.end).unwrap_or_default();
    let problem = Problem::new(whole, "quote this: YAML's flow style ends a text at a comma");
    problems.report(problem.help("put the text in quotes: '…', or write the entry on lines of its own"));
    let span = Span::from(whole.start..whole.start + written.len());
    Node { value: Value::Scalar(Text::verbatim(written, whole.start)), span }
}

/// How many pieces from the first on make one finished text.
fn pieces<'a>(first: &str, rest: impl Iterator<Item = Option<&'a str>>) -> Option<usize> {
    let mut joined = first.to_owned();
    for (taken, piece) in rest.take(PIECES).enumerate() {
        joined.push(',');
        joined.push_str(piece?);
        if !unfinished(&joined) {
            return Some(taken + 1);
        }
    }
    None
}

/// The items of a flow list, those that a comma split joined again.
pub(super) fn join_items(source: &str, items: Vec<Node>, problems: &mut Problems) -> Vec<Node> {
    let mut joined = Vec::with_capacity(items.len());
    let mut at = 0;
    while let Some(item) = items.get(at) {
        let rest = &items[at + 1..];
        let taken = plain(item)
            .filter(|text| unfinished(text.as_str()))
            .and_then(|text| pieces(text.as_str(), rest.iter().map(|piece| plain(piece).map(Text::as_str))));
        joined.push(match taken {
            Some(taken) => join(source, item.span.to(items[at + taken].span), problems),
            None => item.clone(),
        });
        at += 1 + taken.unwrap_or(0);
    }
    joined
}

/// The entries of a flow mapping, those whose value a comma split joined again: the rest of the value became keys.
pub(super) fn join_entries(source: &str, entries: Vec<Entry>, problems: &mut Problems) -> Vec<Entry> {
    let mut joined = Vec::with_capacity(entries.len());
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        let rest = &entries[at + 1..];
        let taken = plain(&entry.value).filter(|text| unfinished(text.as_str())).and_then(|text| {
            pieces(text.as_str(), rest.iter().map(|piece| piece.value.is_absent().then(|| piece.key.as_str())))
        });
        let value = match taken {
            Some(taken) => join(source, entry.value.span.to(entries[at + taken].key.span()), problems),
            None => entry.value.clone(),
        };
        joined.push(Entry { key: entry.key.clone(), value });
        at += 1 + taken.unwrap_or(0);
    }
    joined
}

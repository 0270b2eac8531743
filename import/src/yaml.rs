//! Walking what others wrote: nothing is what `null` says, and keys that have no bearing are passed over.

use policy::yaml::{self, Fields, Node, Style, Text};

use crate::source::Document;

/// What YAML 1.1, by which the tools of these files read, takes for a truth value.
const TRUTHS: [&str; 8] = ["y", "n", "yes", "no", "true", "false", "on", "off"];

/// Whether nothing stands there, or `null`.
pub(crate) fn is_null(node: &Node) -> bool {
    let null = |text: &Text| is_plain(text) && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    node.as_text().is_some_and(null)
}

fn is_plain(text: &Text) -> bool {
    text.style() == Style::Plain
}

/// The value of a key, unless it is nothing.
pub(crate) fn given<'n>(fields: &Fields<'n>, key: &str) -> Option<&'n Node> {
    fields.get(key).filter(|node| !is_null(node))
}

/// The text of a key, for which an empty one is nothing too.
pub(crate) fn filled<'n>(fields: &Fields<'n>, key: &str) -> Option<&'n Node> {
    given(fields, key).filter(|node| node.as_text().is_none_or(|text| !text.as_str().is_empty()))
}

/// The value of a key that must be there.
pub(crate) fn required<'n>(fields: &Fields<'n>, key: &str, document: &mut Document) -> Option<&'n Node> {
    let node = fields.require(key, &mut document.problems)?;
    if is_null(node) {
        let entry = fields.entry(key).map_or(node.span, |entry| entry.key.span());
        document.wrong(entry, format!("`{key}` is needed, and is nothing here"));
    }
    (!is_null(node)).then_some(node)
}

/// The fields of a mapping of which only some matter.
pub(crate) fn some<'n>(node: &'n Node, what: &'n str, document: &mut Document) -> Option<Fields<'n>> {
    yaml::pairs(node, what, &mut document.problems)?;
    Fields::of(node, what, &[], &mut policy::Problems::default())
}

/// The same of a key, where it is given.
pub(crate) fn part<'n>(fields: &Fields<'n>, key: &'n str, document: &mut Document) -> Option<Fields<'n>> {
    some(given(fields, key)?, key, document)
}

/// The items of the list at a key; none where nothing is given.
pub(crate) fn list<'n>(fields: &Fields<'n>, key: &str, document: &mut Document) -> &'n [Node] {
    let node = given(fields, key);
    node.and_then(|node| yaml::items(node, &format!("a list for `{key}`"), &mut document.problems)).unwrap_or_default()
}

/// The text at a key, where it is given.
pub(crate) fn text<'n>(fields: &Fields<'n>, key: &str, document: &mut Document) -> Option<&'n str> {
    let node = given(fields, key)?;
    yaml::text(node, &format!("a text for `{key}`"), &mut document.problems).map(Text::as_str)
}

/// A whole number at a key, where it is given.
pub(crate) fn number(fields: &Fields<'_>, key: &str, document: &mut Document) -> Option<i64> {
    let node = given(fields, key)?;
    let text = yaml::text(node, &format!("a number for `{key}`"), &mut document.problems)?;
    let number = text.as_str().parse().ok().filter(|_| is_decimal(text));
    if number.is_none() {
        let message = format!("`{}` is no number for `{key}`", text.as_str());
        document.advise(text.span(), message, "write a whole number in decimal, without quotes");
    }
    number
}

/// Whether a text is a number however it is read: `-1`, `0`, `5432`; not `0120`, which is octal to some, nor one in quotes.
pub(crate) fn is_decimal(text: &Text) -> bool {
    let digits = text.as_str().strip_prefix('-').unwrap_or(text.as_str());
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain(text) && plain && (digits == "0" || !digits.starts_with('0'))
}

/// Whether a text is one however it is read: without quotes, others take some for a number or a truth value.
pub(crate) fn is_text(text: &Text) -> bool {
    !is_plain(text) || !(reads_as_truth(text.as_str()) || reads_as_number(text.as_str()))
}

/// The same; where it is none, that is told, for Kubernetes refuses it where a text is asked for.
pub(crate) fn is_surely_text(text: &Text, document: &mut Document) -> bool {
    if !is_text(text) {
        let word = text.as_str();
        let message = format!("`{word}` is a number or a truth value to Kubernetes, which asks for a text here");
        document.advise(text.span(), message, format!("write \"{word}\""));
    }
    is_text(text)
}

fn reads_as_truth(word: &str) -> bool {
    let of_one_case = |rest: &str| rest == rest.to_ascii_lowercase() || word == word.to_ascii_uppercase();
    TRUTHS.contains(&word.to_ascii_lowercase().as_str()) && word.get(1..).is_some_and(of_one_case)
}

fn reads_as_number(word: &str) -> bool {
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word).replace('_', "");
    let of_base = |prefix: &str, base: u32| {
        let rest = digits.strip_prefix(prefix);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let special = [".inf", ".nan"].contains(&digits.to_ascii_lowercase().as_str());
    let is_float = || digits.parse::<f64>().is_ok_and(f64::is_finite);
    starts && (special || is_float() || of_base("0x", 16) || of_base("0o", 8) || of_base("0b", 2))
}

//! Walking what others wrote: nothing is what `null` says, and keys that have no bearing are passed over.

use policy::yaml::{self, Fields, Node, Style};

use crate::source::Document;

/// Whether nothing stands there, or `null`.
pub(crate) fn is_null(node: &Node) -> bool {
    let null = |text: &yaml::Text| {
        text.style() == Style::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    };
    node.as_text().is_some_and(null)
}

/// The value of a key, unless it is nothing.
pub(crate) fn given<'n>(fields: &Fields<'n>, key: &str) -> Option<&'n Node> {
    fields.get(key).filter(|node| !is_null(node))
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
    node.and_then(|node| yaml::items(node, &format!("a list of {key}"), &mut document.problems)).unwrap_or_default()
}

/// The text at a key, where it is given.
pub(crate) fn text<'n>(fields: &Fields<'n>, key: &str, document: &mut Document) -> Option<&'n str> {
    let node = given(fields, key)?;
    yaml::text(node, &format!("a text for `{key}`"), &mut document.problems).map(yaml::Text::as_str)
}

/// A whole number at a key, where it is given.
pub(crate) fn number(fields: &Fields<'_>, key: &str, document: &mut Document) -> Option<i64> {
    let node = given(fields, key)?;
    yaml::parsed(node, &format!("a number for `{key}`"), &mut document.problems)
}

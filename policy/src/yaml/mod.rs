//! YAML as a tree with places: nothing is coerced, a scalar is its text as written (`no`, `1.10`, `00123`).
//!
//! [`tree`] reads a source once; a reader then walks the tree with [`Fields`], [`text`], [`items`] and the like, which
//! report what is wrong into [`Problems`](crate::Problems) and go on, so that all mistakes are told at once:
//!
//! ```
//! use policy::{Problems, yaml};
//!
//! let source = "name: lab\nhosts: [rack-a, rack-b]\n";
//! let mut problems = Problems::default();
//! let root = yaml::tree(source, &mut problems).unwrap();
//! let fields = yaml::Fields::of(&root, "a lab", &["name", "hosts"], &mut problems).unwrap();
//! let name = fields.require("name", &mut problems).and_then(|node| yaml::text(node, "a name", &mut problems));
//! assert_eq!(name.unwrap().as_str(), "lab");
//! assert!(problems.into_errors("lab.yaml", source).is_none());
//! ```

mod build;
mod place;
mod quoting;
mod walk;

use std::ops::Range;

pub use build::tree;
pub use walk::{Fields, flag, items, line, name, one_or_many, pairs, parsed, text, word};

use crate::Span;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text; also numbers, truth values and nothing at all, which are texts here.
    Scalar(Text),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in the order written; no key stands twice.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Text,
    /// The value.
    pub value: Node,
}

/// How a text was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bare.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A block, `|` or `>`.
    Block,
}

/// A text with the place of each of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    text: String,
    span: Span,
    style: Style,
    places: place::Places,
}

impl Text {
    /// A text that stands in the source exactly as it is from a byte on.
    #[must_use]
    pub fn verbatim(text: &str, start: usize) -> Self {
        let span = Span { start, end: start + text.len() };
        Self { text: text.to_owned(), span, style: Style::Plain, places: place::Places::From(start) }
    }

    /// The text, after YAML's quotes and escapes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it stands, with its quotes.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// How it was written.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// Whether nothing was written (`key:` with no value).
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.style == Style::Plain && self.text.is_empty()
    }

    /// The place in the source of a range of bytes of this text.
    #[must_use]
    pub fn place(&self, range: Range<usize>) -> Span {
        self.places.of(range, self.span)
    }

    /// A part of this text as a text of its own, for the next reader: its places are right.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Option<Self> {
        let text = self.text.get(range.clone())?.to_owned();
        let span = self.place(range.clone());
        Some(Self { text, span, style: self.style, places: self.places.part(range) })
    }
}

impl Node {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&Text> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether nothing was written here.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.as_text().is_some_and(Text::is_absent)
    }

    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(text) if text.is_absent() => "nothing",
            Value::Scalar(_) => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

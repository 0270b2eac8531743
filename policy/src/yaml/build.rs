//! From the parser's events to the tree.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{self as granit, Event, Parser, ScalarStyle, StrInput};

use super::place::Places;
use super::{Entry, Node, Style, Text, Value, quoting};
use crate::{Problem, Problems, Span};

/// How deep a file may nest.
const DEEPEST: usize = 64;
/// How many nodes all aliases of a file may stand for.
const ALIASED: usize = 10_000;

/// Reads a source of one document into a tree. What is wrong is reported; `None` if there is no tree at all.
pub fn tree(source: &str, problems: &mut Problems) -> Option<Node> {
    let mut options = granit::Options::default();
    options.emit_unresolved_aliases = true;
    options.emit_comments = false;
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    let mut parser = Parser::new_from_str_with_options(source, options);
    let mut builder = Builder { source, problems, open: Vec::new(), root: None, anchors: BTreeMap::new(), aliased: 0 };
    builder.read(&mut parser)?;
    let root = builder.root;
    if root.is_none() {
        problems.report(Problem::new(Span::default(), "the file is empty"));
    }
    root
}

/// A list or mapping that has begun and not ended.
struct Open {
    start: usize,
    anchor: usize,
    flow: bool,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<Key> },
}

/// The key that waits for its value; one that cannot be used takes its value with it.
enum Key {
    Use(Text),
    Skip,
}

struct Builder<'a> {
    source: &'a str,
    problems: &'a mut Problems,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Node>,
    aliased: usize,
}

impl<'a> Builder<'a> {
    /// Takes all events; `None` if the text is no YAML.
    fn read(&mut self, parser: &mut Parser<'a, StrInput<'a>>) -> Option<()> {
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, span)) => self.take(event, byte_span(self.source, span))?,
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or_default();
                    self.problems.report(quoting::not_yaml(self.source, at, &error.info()));
                    return None;
                }
            }
        }
        Some(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let tagged = event.tag().is_some();
        if tagged {
            self.problems.report_unreadable(quoting::quote_this(self.source, span, '!'));
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = scalar(self.source, span, &text, style);
                self.keep(anchor, &node);
                self.put(node, span)
            }
            Event::SequenceStart(style, anchor, _) => self.begin(span, anchor, style, Content::Sequence(Vec::new())),
            Event::MappingStart(style, anchor, _) => {
                self.begin(span, anchor, style, Content::Mapping { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(_) => {
                self.problems.report_unreadable(quoting::quote_this(self.source, span, '*'));
                let raw = self.source.get(span.start..span.end).unwrap_or_default().to_owned();
                self.put(scalar(self.source, span, &raw, ScalarStyle::Plain), span)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                self.problems
                    .report(Problem::new(span, "a second document begins here").help("one file holds one document"));
                None
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => Some(()),
            Event::Anchor(..) | Event::Comment(..) | _ => Some(()),
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, style: granit::StructureStyle, content: Content) -> Option<()> {
        if self.open.len() >= DEEPEST {
            self.problems.report(Problem::new(span, format!("nested deeper than {DEEPEST} levels")));
            return None;
        }
        let flow = style == granit::StructureStyle::Flow;
        self.open.push(Open { start: span.start, anchor, flow, content });
        Some(())
    }

    fn end(&mut self, span: Span) -> Option<()> {
        let Open { start, anchor, flow, content } = self.open.pop()?;
        let value = match content {
            Content::Sequence(items) if flow => Value::Sequence(quoting::join_items(self.source, items, self.problems)),
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, .. } if flow => {
                Value::Mapping(unique(quoting::join_entries(self.source, entries, self.problems), self.problems))
            }
            Content::Mapping { entries, .. } => Value::Mapping(unique(entries, self.problems)),
        };
        let end = if flow { span.end } else { last_byte(&value).unwrap_or(span.start) };
        let span = Span { start, end: end.max(start) };
        let node = Node { value, span };
        self.keep(anchor, &node);
        self.put(node, span)
    }

    /// Puts a finished node where it belongs.
    fn put(&mut self, node: Node, span: Span) -> Option<()> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, key } => match (key.take(), node.value) {
                (Some(Key::Use(key)), value) => entries.push(Entry { key, value: Node { value, span: node.span } }),
                (Some(Key::Skip), _) => {}
                (None, Value::Scalar(text)) => *key = Some(Key::Use(text)),
                (None, Value::Sequence(_) | Value::Mapping(_)) => {
                    *key = Some(Key::Skip);
                    self.problems.report(Problem::new(span, "a key must be a text"));
                }
            },
        }
        Some(())
    }

    fn keep(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Option<()> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.problems.report(Problem::new(span, "an alias inside of what it stands for"));
            return None;
        };
        self.aliased += size(&node);
        if self.aliased > ALIASED {
            self.problems
                .report(Problem::new(span, format!("the aliases of this file stand for more than {ALIASED} values")));
            return None;
        }
        self.put(node, span)
    }
}

fn byte_span(source: &str, span: granit::Span) -> Span {
    let at = |marker: granit::Marker| marker.byte_offset().unwrap_or_default().min(source.len());
    Span::from(at(span.start)..at(span.end))
}

fn scalar(source: &str, span: Span, text: &str, style: ScalarStyle) -> Node {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    let text = if style == Style::Plain && span.start == span.end { "" } else { text };
    let places = Places::align(source, span.start..span.end, text);
    Node { value: Value::Scalar(Text { text: text.to_owned(), span, style, places }), span }
}

/// Keeps the first of entries with the same key and reports the others.
fn unique(entries: Vec<Entry>, problems: &mut Problems) -> Vec<Entry> {
    let mut first: BTreeMap<String, Span> = BTreeMap::new();
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = entry.key.as_str().to_owned();
        if let Some(before) = first.get(&key) {
            let problem = Problem::new(entry.key.span(), format!("`{key}` stands here a second time"));
            problems.report(problem.also(*before, "the first"));
        } else {
            first.insert(key, entry.key.span());
            kept.push(entry);
        }
    }
    kept
}

/// Where the last thing of a block ends: the parser's own end lies at the next thing.
fn last_byte(value: &Value) -> Option<usize> {
    match value {
        Value::Scalar(text) => Some(text.span().end),
        Value::Sequence(items) => items.last().map(|item| item.span.end),
        Value::Mapping(entries) => entries.last().map(|entry| entry.value.span.end.max(entry.key.span().end)),
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 1,
        Value::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Mapping(entries) => 1 + entries.iter().map(|entry| 1 + size(&entry.value)).sum::<usize>(),
    }
}

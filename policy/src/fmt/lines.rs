//! The lines of a file: how far each is indented, and which stay.

use super::flow::{flow, is_flow, respaced};
use super::place::{Path, Role};
use super::spacing;
use crate::yaml::{Entry, Node, Style, Text, Value};

/// How many spaces a level is indented by.
const STEP: usize = 2;

/// How far a line is indented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// It begins with nothing that is placed: it is empty, a comment, or stays.
    Free,
    /// It begins with a key or an item.
    At(usize),
    /// It goes on with what the line before it began, so much further right or left.
    Moved(isize),
    /// The same, and every space of it counts.
    Verbatim(isize),
}

/// The canonical form of a text with this tree.
pub(super) fn format(source: &str, root: &Node, policy: bool) -> String {
    let starts = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut layout = Layout { source, starts, lines: Vec::new(), edits: Vec::new(), cursor: 0 };
    layout.lines = vec![Line::Free; layout.starts.len()];
    layout.node(root, (0, 0), &Path::root(policy));
    layout.written()
}

struct Layout<'s> {
    source: &'s str,
    /// Where lines begin.
    starts: Vec<usize>,
    lines: Vec<Line>,
    /// What stands in the place of what, in their order; no line ends in them.
    edits: Vec<(std::ops::Range<usize>, String)>,
    /// Up to where the text was gone through: what lies before is what an alias stands for.
    cursor: usize,
}

impl<'s> Layout<'s> {
    /// Places a node; what it stands under begins in one column and is to begin in another.
    fn node(&mut self, node: &Node, (from, to): (usize, usize), path: &Path<'_>) {
        if node.span.start < self.cursor || node.is_absent() {
            return;
        }
        match &node.value {
            Value::Scalar(text) => self.text(text, (from, to), path),
            Value::Sequence(_) | Value::Mapping(_) if is_flow(self.source, node) => {
                match flow(self.source, node, path) {
                    Some(told) => self.edits.push((node.span.start..node.span.end, told)),
                    None => self.moved(node.span.start, node.span.end, shift(from, to)),
                }
                self.cursor = node.span.end;
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.item(item, to, path)),
            Value::Mapping(entries) => entries.iter().for_each(|entry| self.entry(entry, to, path)),
        }
    }

    fn text(&mut self, text: &Text, (from, to): (usize, usize), path: &Path<'_>) {
        let span = text.span();
        if text.style() == Style::Block {
            // Its span begins with its first line, and it with `|` or `>` behind a key or a dash.
            let header = self.source.get(self.cursor..span.start).and_then(|before| before.find(['|', '>']));
            self.block(header.map_or(span.start, |header| self.cursor + header), (from, to));
        } else {
            self.moved(span.start, span.end, shift(from, to));
            self.edits.extend(respaced(self.source, text, path.role()));
        }
        self.cursor = span.end;
    }

    fn item(&mut self, item: &Node, to: usize, path: &Path<'_>) {
        let before = self.source.get(..item.span.start).unwrap_or_default().trim_end_matches([' ', '\n']);
        if !before.ends_with('-') || item.span.start < self.cursor {
            return;
        }
        let dash = before.len() - 1;
        self.place(dash, to);
        self.cursor = dash + 1;
        let gap = dash + 1..item.span.start;
        let line = self.source.get(gap.clone()).is_some_and(|gap| !gap.contains('\n'));
        let from = self.column(dash);
        self.edits.extend(line.then(|| (gap, " ".to_owned())));
        match &item.value {
            Value::Mapping(entries) if path.role() == Role::Claim && !is_flow(self.source, item) => {
                let end = entries.last().map_or(item.span.end, |entry| entry.value.span.end);
                let claim = self.source.get(item.span.start..end).filter(|claim| !claim.contains('\n'));
                self.edits.extend(claim.and_then(spacing::claim).map(|claim| (item.span.start..end, claim)));
                self.cursor = end;
            }
            Value::Mapping(_) | Value::Sequence(_) if !is_flow(self.source, item) => {
                self.node(item, (from, to + STEP), path);
            }
            Value::Scalar(_) | Value::Mapping(_) | Value::Sequence(_) => self.node(item, (from, to), path),
        }
    }

    fn entry(&mut self, Entry { key, value }: &Entry, to: usize, path: &Path<'_>) {
        let (start, end) = (key.span().start, key.span().end);
        if start < self.cursor {
            return;
        }
        self.place(start, to);
        self.cursor = end;
        let rest = self.source.get(end..).unwrap_or_default();
        let colon = rest.len() - rest.trim_start_matches(' ').len();
        if rest[colon..].starts_with(':') && path.tightens() {
            let gap = rest[colon + 1..].len() - rest[colon + 1..].trim_start_matches(' ').len();
            let goes_on = rest[colon + 1 + gap..].chars().next().is_some_and(|next| !matches!(next, '\n' | '#'));
            let tail = if goes_on { gap } else { 0 };
            self.edits.push((end..end + colon + 1 + tail, if goes_on { ": " } else { ":" }.to_owned()));
        }
        let from = self.column(start);
        let nested = !matches!(value.value, Value::Scalar(_)) && !is_flow(self.source, value);
        self.node(value, (from, if nested { to + STEP } else { to }), &path.under(key.as_str()));
    }

    /// What begins a line begins in a column; what stands in the middle of one needs none.
    fn place(&mut self, at: usize, to: usize) {
        let line = self.line(at);
        let start = self.starts[line];
        if self.source.get(start..at).is_some_and(|before| before.trim_start_matches(' ').is_empty()) {
            self.lines[line] = Line::At(to);
        }
    }

    /// The lines behind the first of something go with it.
    fn moved(&mut self, start: usize, end: usize, by: isize) {
        let (first, last) = (self.line(start), self.line(end.saturating_sub(1).max(start)));
        self.lines[first + 1..=last].fill(Line::Moved(by));
    }

    /// The lines of a text behind `|` or `>`: they are indented one step more than what it stands under.
    fn block(&mut self, start: usize, (from, to): (usize, usize)) {
        let first = self.line(start);
        let text = |line: usize| self.written_line(line).to_owned();
        let blank = |line: usize| text(line).trim_matches(' ').is_empty();
        let mut last = first;
        while last + 1 < self.lines.len() && (blank(last + 1) || indent(&text(last + 1)) > from) {
            last += 1;
        }
        let header = self.source.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let header = header.split(" #").next().unwrap_or_default();
        while last > first && blank(last) && !header.contains('+') {
            last -= 1;
        }
        let least = (first + 1..=last).filter(|line| !blank(*line)).map(|line| indent(&text(line))).min();
        let by = match least {
            Some(least) if !header.contains(|c: char| c.is_ascii_digit()) => shift(least, to + STEP),
            Some(_) | None => shift(from, to),
        };
        self.lines[first + 1..=last].fill(Line::Verbatim(by));
    }

    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    fn column(&self, at: usize) -> usize {
        at - self.starts[self.line(at)]
    }

    fn written_line(&self, line: usize) -> &'s str {
        let end = self.starts.get(line + 1).map_or(self.source.len(), |next| next - 1);
        self.source.get(self.starts[line]..end).unwrap_or_default()
    }

    /// The whole text anew.
    fn written(mut self) -> String {
        self.edits.sort_by_key(|(range, _)| range.start);
        let (mut edited, mut at) = (String::new(), 0);
        for (range, new) in &self.edits {
            edited.push_str(self.source.get(at..range.start).unwrap_or_default());
            edited.push_str(new);
            at = range.end;
        }
        edited.push_str(self.source.get(at..).unwrap_or_default());
        let (mut out, mut free): (Vec<String>, _) = (Vec::new(), true);
        for (number, line) in edited.strip_suffix('\n').unwrap_or(&edited).split('\n').enumerate() {
            let kind = self.lines.get(number).copied().unwrap_or(Line::Free);
            free = kind == Line::Free;
            // At most one empty line in a row, and none at first.
            if !(free && line.trim().is_empty() && out.last().is_none_or(String::is_empty)) {
                out.push(self.anew(number, line, kind));
            }
        }
        if free && out.last().is_some_and(String::is_empty) {
            out.pop();
        }
        out.join("\n") + "\n"
    }

    fn anew(&self, number: usize, line: &str, kind: Line) -> String {
        let blank = line.trim_matches(' ').is_empty();
        match kind {
            Line::At(to) => indented(line.trim(), to),
            Line::Moved(by) => indented(line.trim(), indent(line).saturating_add_signed(by)),
            Line::Verbatim(_) if line.is_empty() => String::new(),
            Line::Verbatim(by) if blank => " ".repeat(line.len().saturating_add_signed(by)),
            Line::Verbatim(by) => indented(line.trim_start_matches(' '), indent(line).saturating_add_signed(by)),
            Line::Free if line.trim_start().starts_with('#') => indented(line.trim(), self.comment(number)),
            Line::Free => line.trim_end().to_owned(),
        }
    }

    /// A comment goes with what follows it; one that stood further right than that with what came before.
    fn comment(&self, number: usize) -> usize {
        let old = |line: usize| indent(self.written_line(line));
        let placed = |line: usize| if let Line::At(to) = self.lines[line] { Some((line, to)) } else { None };
        let next = (number + 1..self.lines.len()).find_map(placed);
        let own = old(number);
        if let Some((_, to)) = next.filter(|(line, _)| own <= old(*line)) {
            return to;
        }
        let before = || (0..number).rev().filter_map(placed);
        let same = before().find(|(line, _)| old(*line) == own);
        let to = same.or_else(|| before().next().filter(|_| own > 0)).map_or(0, |(_, to)| to);
        to.max(next.map_or(0, |(_, to)| to))
    }
}

fn shift(from: usize, to: usize) -> isize {
    isize::try_from(to).unwrap_or(0) - isize::try_from(from).unwrap_or(0)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn indented(text: &str, to: usize) -> String {
    if text.is_empty() { String::new() } else { format!("{}{text}", " ".repeat(to)) }
}

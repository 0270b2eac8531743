//! Problems as plain text: the line, a caret, the advice; no colour, so that it is the same everywhere.

use std::fmt::Write;

use crate::{Errors, Problem, Span};

/// The longest stretch of a line that is shown, in characters.
const WIDEST: usize = 160;

/// All problems as plain text, in the order of their places.
#[must_use]
pub fn render_plain(errors: &Errors) -> String {
    let blocks: Vec<String> = errors.placed().map(block).collect();
    blocks.join("\n")
}

/// The line and column (in characters), both from 1, of a byte of a text.
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = upto(text, offset);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn upto(text: &str, offset: usize) -> &str {
    let end = (0..=offset.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

fn block((problem, name, text): (&Problem, &str, &str)) -> String {
    let mut out = format!("error: {}\n", problem.message);
    excerpt(&mut out, (name, text), problem.span, "-->");
    for (span, label) in &problem.also {
        let _ = writeln!(out, "  {label}:");
        excerpt(&mut out, (name, text), *span, ":::");
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "  help: {help}");
    }
    out
}

/// One line of the source with carets below a span of it.
fn excerpt(out: &mut String, (name, text): (&str, &str), span: Span, arrow: &str) {
    let (number, column) = line_and_column(text, span.start);
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let shown: String = line.chars().take(WIDEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let covered = upto(text, span.end).len().saturating_sub(span.start.min(text.len()));
    let inside = line.chars().count().saturating_sub(column - 1);
    let carets =
        text.get(span.start..span.start + covered).map_or(1, |part| part.chars().take_while(|&c| c != '\n').count());
    let carets = carets.min(inside).min((WIDEST + 1).saturating_sub(column)).max(1);
    let number = number.to_string();
    let gutter = " ".repeat(number.len());
    let _ = writeln!(out, "{gutter} {arrow} {name}:{number}:{column}");
    let _ = writeln!(out, "{gutter} |\n{number} | {shown}");
    let _ = writeln!(out, "{gutter} | {}{}", " ".repeat((column - 1).min(WIDEST)), "^".repeat(carets));
}

//! The canonical form of a file: how it is indented and spaced. What it says, its comments and its order stay.
//!
//! - Two spaces of indentation, also for a list below its key; one space behind `-`.
//! - `{a: b, c: [d, e]}` where it stands on one line; what goes over several keeps its lines.
//! - Selectors and claims with one space between their words: `dept = hr & app in (web, db)`.
//! - No space at the end of a line, at most one empty line in a row, none at the end; lines end with LF.
//!
//! Of a policy also the space behind `key:`, of other files it stays, for what stands there in columns.

mod flow;
mod lines;
mod place;
mod spacing;

use crate::yaml::{self, Fields, Node, Value};
use crate::{Bundle, Claim, Errors, Policy, Problems, Rule, Source, VERSION};

/// Why a file was not formatted.
#[derive(Debug)]
pub enum FormatError {
    /// It has mistakes.
    Mistakes(Errors),
    /// It would have said something else then, which is a fault of this program: where.
    Fault(String),
}

/// The canonical form of the first file of a bundle: a policy with what it includes, or a file of another kind.
///
/// # Errors
/// A file with mistakes, or one that would say something else in that form.
pub fn format(bundle: &Bundle) -> Result<String, FormatError> {
    let Some(Source { name, text }) = bundle.tiers.first() else { return Ok(String::new()) };
    let text = text.replace("\r\n", "\n");
    let before = read(name, &text).map_err(FormatError::Mistakes)?;
    let is_policy = says(&before).is_some_and(|version| version == VERSION);
    let formatted = lines::format(&text, &before, is_policy);
    if is_policy {
        let policy = |text: &str| {
            let source = Source { name: name.clone(), text: text.to_owned() };
            Bundle { tiers: vec![source], included: bundle.included.clone() }.policy()
        };
        let old = policy(&text).map_err(FormatError::Mistakes)?;
        let same = policy(&formatted).map(|new| differing(old, new));
        return match same {
            Ok(None) => Ok(formatted),
            Ok(Some(place)) => Err(fault(name, &place)),
            Err(errors) => Err(fault(name, &crate::render_plain(&errors))),
        };
    }
    match read(name, &formatted) {
        Ok(after) => same(&before, &after)
            .map(|()| formatted)
            .map_err(|line| fault(name, &format!("line {}", crate::line_and_column(&text, line).0))),
        Err(errors) => Err(fault(name, &crate::render_plain(&errors))),
    }
}

fn fault(name: &str, place: &str) -> FormatError {
    FormatError::Fault(format!("format {name}: it would say something else then ({place}); it is left as it is"))
}

fn read(name: &str, text: &str) -> Result<Node, Errors> {
    let mut problems = Problems::default();
    let root = yaml::tree(text, &mut problems);
    match (problems.into_errors(name, text), root) {
        (None, Some(root)) => Ok(root),
        (Some(errors), _) => Err(errors),
        (None, None) => {
            Err(Errors::single(name, text, crate::Problem::new(crate::Span::default(), "the file is empty")))
        }
    }
}

/// What the first key of a file says that it is.
fn says(root: &Node) -> Option<&str> {
    let fields = Fields::of(root, "a file", &[], &mut Problems::default())?;
    Some(fields.get("eastwest")?.as_text()?.as_str())
}

/// Where two policies differ in more than their lines.
fn differing(old: Policy, new: Policy) -> Option<String> {
    let rule = |rule: Rule| Rule { line: 0, ..rule };
    let bare = |mut policy: Policy| {
        policy.rules = policy.rules.into_iter().map(rule).collect();
        policy.detect.iter_mut().for_each(|detector| detector.line = 0);
        policy.tests = policy.tests.into_iter().map(|claim| Claim { text: String::new(), line: 0, ..claim }).collect();
        policy
    };
    let lines: Vec<usize> = old.rules.iter().map(|rule| rule.line).collect();
    let (old, new) = (bare(old), bare(new));
    let place = old.rules.iter().zip(&new.rules).position(|(old, new)| old != new).and_then(|place| lines.get(place));
    let place = place.map_or_else(|| "not in a rule".to_owned(), |line| format!("line {line}"));
    (old != new).then_some(place)
}

/// Whether two trees are alike but for their places and the spaces of selectors; else the place of the first that is not.
fn same(old: &Node, new: &Node) -> Result<(), usize> {
    let spaced =
        |one: &str, other: &str| spacing::selector(one).is_some_and(|text| spacing::selector(other) == Some(text));
    let alike = |one: &str, other: &str| one == other || spaced(one, other);
    match (&old.value, &new.value) {
        (Value::Scalar(one), Value::Scalar(other)) if alike(one.as_str(), other.as_str()) => Ok(()),
        (Value::Sequence(one), Value::Sequence(other)) if one.len() == other.len() => {
            one.iter().zip(other).try_for_each(|(one, other)| same(one, other))
        }
        (Value::Mapping(one), Value::Mapping(other)) if one.len() == other.len() => {
            let differs = one.iter().zip(other).find(|(one, other)| !alike(one.key.as_str(), other.key.as_str()));
            let pairs = || one.iter().zip(other).try_for_each(|(one, other)| same(&one.value, &other.value));
            differs.map_or_else(pairs, |(one, _)| Err(one.key.span().start))
        }
        (Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_), _) => Err(old.span.start),
    }
}

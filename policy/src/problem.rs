//! What is wrong in a text: problems with places, collected so that all are told at once.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::yaml::Text;

/// A range of bytes of the source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span from the start of this one to the end of another.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end.max(self.start) }
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end.max(range.start) }
    }
}

/// What is wrong with a short text (a selector, a service) that may stand inside a file or on a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default())]
pub struct TextError {
    /// The bytes of the short text that are wrong.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl TextError {
    /// An error about a part of a short text.
    #[must_use]
    pub fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: None }
    }

    /// The same error with advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place.
    pub span: Span,
    /// What is wrong: a fragment in lower case.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that explain this one.
    pub also: Vec<(Span, String)>,
}

impl Problem {
    /// A problem at a place.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None, also: Vec::new() }
    }

    /// A problem of a short text that stands in the source.
    #[must_use]
    pub fn within(text: &Text, error: TextError) -> Self {
        Self { span: text.place(error.range), message: error.message, help: error.help, also: Vec::new() }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same problem with advice, if there is any.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Self {
        Self { help: help.or(self.help), ..self }
    }

    /// The same problem with another place that explains it.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }
}

/// The collector of problems: a reader reports into it and goes on.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    unreadable: Vec<Span>,
}

impl Problems {
    /// Notes a problem, unless it lies in a stretch that is known to be unreadable.
    pub fn report(&mut self, problem: Problem) {
        let inside = |whole: &Span| whole.start <= problem.span.start && problem.span.end <= whole.end;
        if !self.unreadable.iter().any(inside) {
            self.found.push(problem);
        }
    }

    /// Notes a problem that makes its stretch unreadable: what a later reader says of it would only confuse.
    pub fn report_unreadable(&mut self, problem: Problem) {
        let span = problem.span;
        self.report(problem);
        self.unreadable.push(span);
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many things are wrong so far: a reader whose part raised the count gives nothing.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// All problems of a source, sorted by place; `None` if there are none.
    #[must_use]
    pub fn into_errors(mut self, source_name: &str, text: &str) -> Option<Errors> {
        self.found.sort_by_key(|problem| (problem.span, problem.message.clone()));
        self.found.dedup();
        let source = Arc::new(NamedSource::new(source_name, text.to_owned()));
        let problems = self.found.into_iter().map(|problem| Located { problem, source: Arc::clone(&source) }).collect();
        (!Vec::is_empty(&problems)).then_some(Errors { source, problems })
    }
}

/// All that is wrong in a source text or in several, sorted by place; at least one problem.
#[derive(Clone, Debug)]
pub struct Errors {
    source: Arc<NamedSource<String>>,
    problems: Vec<Located>,
}

impl Errors {
    /// A source with one problem.
    #[must_use]
    pub fn single(source_name: &str, text: &str, problem: Problem) -> Self {
        let source = Arc::new(NamedSource::new(source_name, text.to_owned()));
        Self { problems: vec![Located { problem, source: Arc::clone(&source) }], source }
    }

    /// The errors of two sources, those of the first one first.
    #[must_use]
    pub fn joined(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(mut first), Some(second)) => {
                first.problems.extend(second.problems);
                Some(first)
            }
            (first, second) => first.or(second),
        }
    }

    /// The problems, each with the name and the text of its source.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&Problem, &str, &str)> {
        self.problems.iter().map(|located| (&located.problem, located.source.name(), located.source.inner().as_str()))
    }

    /// The problems, sorted by place.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.problems.iter().map(|located| &located.problem)
    }

    /// The name of the first source.
    #[must_use]
    pub fn source_name(&self) -> &str {
        self.source.name()
    }

    /// The text of the first source.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.inner()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            _ if self.problems.iter().any(|other| other.source.name() != self.source_name()) => {
                write!(f, "the policy has {} mistakes", self.problems.len())
            }
            1 => write!(f, "{} has a mistake", self.source_name()),
            many => write!(f, "{} has {many} mistakes", self.source_name()),
        }
    }
}

impl std::error::Error for Errors {}

impl Diagnostic for Errors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|located| located as &dyn Diagnostic)))
    }
}

/// A problem with the source that it stands in, as miette wants it.
#[derive(Clone, Debug)]
struct Located {
    problem: Problem,
    source: Arc<NamedSource<String>>,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Located {}

impl Diagnostic for Located {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source.as_ref())
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let range = |span: Span| (span.start, span.end - span.start);
        let here = LabeledSpan::new_primary_with_span(Some("here".to_owned()), range(self.problem.span));
        let also = self
            .problem
            .also
            .iter()
            .map(move |(span, label)| LabeledSpan::new_with_span(Some(label.clone()), range(*span)));
        Some(Box::new(std::iter::once(here).chain(also)))
    }
}

//! Files cut into documents, and all that is wrong in them, each thing at its place.

use policy::yaml::{self, Node};
use policy::{Errors, Problem, Problems, Span};

use crate::Source;
use crate::merge::expanded;

/// A place in one of the files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    file: usize,
    span: Span,
}

/// What is wrong in all files, and what is to be told beside it.
pub(crate) struct Complaints<'s> {
    sources: &'s [Source],
    problems: Vec<Problems>,
    /// What is told and is no mistake.
    pub(crate) notes: Vec<String>,
}

impl<'s> Complaints<'s> {
    pub(crate) fn new(sources: &'s [Source]) -> Self {
        let problems = sources.iter().map(|_| Problems::default()).collect();
        Self { sources, problems, notes: Vec::new() }
    }

    /// Something is wrong at a place, and what to do about it.
    pub(crate) fn wrong(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.report(place.file, Problem::new(place.span, message).help(help));
    }

    fn report(&mut self, file: usize, problem: Problem) {
        if let Some(problems) = self.problems.get_mut(file) {
            problems.report(problem);
        }
    }

    /// Something that is told, once.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// All documents of all files that hold anything, in their order.
    pub(crate) fn documents(&mut self) -> Vec<(Document, Node)> {
        let mut documents = Vec::new();
        for (file, source) in self.sources.iter().enumerate() {
            for (base, text) in cut(&source.text) {
                let mut document = Document { file, base, problems: Problems::default() };
                let root = yaml::tree(text, &mut document.problems);
                match root.map(|root| expanded(root, &mut document.problems)) {
                    Some(root) => documents.push((document, root)),
                    None => self.absorb(document),
                }
            }
        }
        documents
    }

    /// Takes over what is wrong in a document.
    pub(crate) fn absorb(&mut self, document: Document) {
        let Document { file, base, problems } = document;
        let Some(errors) = problems.into_errors("", "") else { return };
        let moved = |span: Span| Span { start: span.start + base, end: span.end + base };
        for problem in errors.problems() {
            let mut problem = problem.clone();
            problem.span = moved(problem.span);
            problem.also.iter_mut().for_each(|(span, _)| *span = moved(*span));
            self.report(file, problem);
        }
    }

    /// The beginning of the first file: what is missing in all of them is told there.
    pub(crate) fn beginning(&self) -> Place {
        Place { file: 0, span: Span::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.iter().all(Problems::is_empty)
    }

    /// All that is wrong, file by file.
    pub(crate) fn into_errors(self) -> Vec<Errors> {
        let all = self.problems.into_iter().zip(self.sources);
        all.filter_map(|(problems, source)| problems.into_errors(&source.name, &source.text)).collect()
    }
}

/// One document: where it stands, and what is wrong in it.
pub(crate) struct Document {
    file: usize,
    base: usize,
    /// What is wrong in it, at places of its own text.
    pub(crate) problems: Problems,
}

impl Document {
    /// The place of a span of the document.
    pub(crate) fn place(&self, span: Span) -> Place {
        Place { file: self.file, span: Span { start: span.start + self.base, end: span.end + self.base } }
    }

    /// Something is wrong in it.
    pub(crate) fn wrong(&mut self, span: Span, message: impl Into<String>) {
        self.problems.report(Problem::new(span, message));
    }

    /// Something is wrong in it, and what to do about it.
    pub(crate) fn advise(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.problems.report(Problem::new(span, message).help(help));
    }
}

/// The documents of a text that hold anything, each with the byte at which it begins. `---` and `...` at the begin of a line
/// can mean nothing else, even in a block of text.
fn cut(text: &str) -> Vec<(usize, &str)> {
    let (mut starts, mut at) = (vec![0], 0);
    for line in text.split_inclusive('\n') {
        if at > 0 && is_marker(line, "---") {
            starts.push(at);
        }
        at += line.len();
        if is_marker(line, "...") {
            starts.push(at);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let parts = starts.iter().zip(ends).filter_map(|(&start, end)| Some((start, text.get(start..end)?)));
    parts.filter(|(_, part)| part.lines().any(says_something)).collect()
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

fn says_something(line: &str) -> bool {
    let is_marked = ["---", "..."].iter().any(|marker| is_marker(line, marker));
    let rest = if is_marked { &line[3..] } else { line };
    let rest = rest.trim().trim_start_matches('\u{feff}');
    !(rest.is_empty() || rest.starts_with(['#', '%']))
}

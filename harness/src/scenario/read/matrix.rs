//! Reading matrices: rows speak to columns, `+` allow, `x` deny, `!` reject, `?` no claim, `.` itself; behind a sign the number
//! of a note.

use policy::yaml::{self, Entry, Node, Text, Value};
use policy::{FlowService, Problem, TextError};
use reports::event::Word as Verb;

use super::super::{Choice, Expectation};
use super::flow::{Word, Words, service};
use super::lines;
use super::{Reader, csv, keys};

impl Reader<'_> {
    /// The matrices of a step: their cells as expectations, their services with the line of each.
    pub(super) fn matrices(&mut self, node: &Node) -> (Vec<Expectation>, Vec<(FlowService, usize)>) {
        let (mut cells, mut services) = (Vec::new(), Vec::new());
        for entry in yaml::pairs(node, "a matrix for each service", &mut self.problems).unwrap_or_default() {
            let key = entry.key.as_str();
            let read = service(key, &(0..key.len()));
            let only = self.variant.only();
            let exists = |service: &FlowService| only.is_none_or(|only| service.exists_in(only));
            if let Some(service) = self.taken(&entry.key, read).filter(exists) {
                services.push((service, self.line(entry.key.span())));
                cells.extend(self.matrix(entry, service));
            }
        }
        (cells, services)
    }

    /// A table below `|`, or the name of a file that holds one.
    fn matrix(&mut self, entry: &Entry, service: FlowService) -> Vec<Expectation> {
        if let Value::Mapping(_) = &entry.value.value {
            let fields = self.fields(&entry.value, "a table", &keys::TABLE, &[]);
            let node = fields.and_then(|fields| fields.require(keys::CSV, &mut self.problems));
            let name = node.and_then(|node| yaml::text(node, "the name of a file", &mut self.problems));
            return name.map(|name| self.csv(name, service)).unwrap_or_default();
        }
        let Some(text) = yaml::text(&entry.value, "a table, below `|`", &mut self.problems) else { return Vec::new() };
        match text.as_str().ends_with(csv::ENDING) && !text.as_str().contains('\n') {
            true => self.csv(text, service),
            false => self.table(text, rows(text.as_str()), service),
        }
    }

    /// The cells of a table's rows.
    pub(super) fn table<'t>(
        &mut self,
        text: &Text,
        mut lines: impl Iterator<Item = Vec<Word<'t>>>,
        service: FlowService,
    ) -> Vec<Expectation> {
        let Some(header) = lines.next() else {
            self.wrong(text.span(), "the matrix is empty");
            return Vec::new();
        };
        let Some(columns) = self.header(text, &header) else { return Vec::new() };
        let mut cells = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for row in lines {
            let Some((name, place)) = row.first() else { continue };
            if seen.contains(name) {
                let error = TextError::new(place.clone(), format!("the row `{name}` stands here a second time"));
                self.problems.report(Problem::within(text, error));
            }
            seen.push(name);
            cells.extend(self.row(text, &row, &columns, service));
        }
        cells
    }

    fn header<'t>(&mut self, text: &Text, header: &[Word<'t>]) -> Option<Vec<&'t str>> {
        match header.split_first() {
            Some((("->", _), columns)) if !columns.is_empty() => {
                self.columns_once(text, columns);
                Some(columns.iter().map(|(name, _)| *name).collect())
            }
            Some((("->", place), _)) => {
                self.problems.report(Problem::within(text, TextError::new(place.clone(), "the matrix has no columns")));
                None
            }
            Some(((word, place), _)) => {
                let error =
                    TextError::new(place.clone(), format!("a matrix begins with the corner `->`, not `{word}`"));
                self.problems.report(Problem::within(text, error));
                None
            }
            None => None,
        }
    }

    fn columns_once(&mut self, text: &Text, columns: &[Word<'_>]) {
        for (index, (name, place)) in columns.iter().enumerate() {
            if columns[..index].iter().any(|(other, _)| other == name) {
                let error = TextError::new(place.clone(), format!("the column `{name}` stands here a second time"));
                self.problems.report(Problem::within(text, error));
            }
        }
    }

    fn row(&mut self, text: &Text, row: &[Word<'_>], columns: &[&str], service: FlowService) -> Vec<Expectation> {
        let Some(((source, place), marks)) = row.split_first() else { return Vec::new() };
        if marks.len() != columns.len() {
            let message = format!("the row `{source}` has {} cells for {} columns", marks.len(), columns.len());
            self.problems.report(Problem::within(text, TextError::new(place.clone(), message)));
            return Vec::new();
        }
        let mut cells = Vec::new();
        for ((mark, place), destination) in marks.iter().zip(columns) {
            let (sign, note) = noted(mark);
            let read = cell(sign, source == destination).map_err(|message| TextError::new(place.clone(), message));
            let Some(verb) = self.taken(text, read) else { continue };
            let mark = self.noted(text, (note, place.clone()), verb.flatten().is_some());
            let Some(verb) = verb else { continue };
            let span = text.place(place.clone());
            let verdict = verb.map_or("?".to_owned(), |verb| format!("{verb:?}").to_lowercase());
            cells.push(Expectation {
                line: self.line(span),
                place: span.start..span.end,
                text: format!("{source} -> {destination} {service}: {verdict}"),
                claim: lines::cell(source, destination, Choice::One(service), verb),
                mark,
            });
        }
        cells
    }
}

/// The lines that are not empty, as words.
fn rows(text: &str) -> impl Iterator<Item = Vec<Word<'_>>> {
    let mut at = 0;
    let lines = text.split('\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line)
    });
    lines.filter(|(_, line)| !line.trim().is_empty()).map(move |(start, line)| {
        let mut words = Words::of(text, start..start + line.len());
        std::iter::from_fn(|| words.next()).collect()
    })
}

/// A cell's sign, and the number of the note behind it.
fn noted(mark: &str) -> (&str, &str) {
    match mark.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "" => (mark, ""),
        sign => mark.split_at(sign.len()),
    }
}

/// What a mark claims: nothing at all for a VM's own cell, `Some(None)` for `?`.
fn cell(mark: &str, own: bool) -> Result<Option<Option<Verb>>, String> {
    match (mark, own) {
        (".", true) => Ok(None),
        (".", false) => Err("`.` marks an endpoint's own cell, and this is another's".to_owned()),
        (_, true) => Err(format!("an endpoint's own cell is `.`, not `{mark}`")),
        ("+", false) => Ok(Some(Some(Verb::Allow))),
        ("x", false) => Ok(Some(Some(Verb::Deny))),
        ("!", false) => Ok(Some(Some(Verb::Reject))),
        ("?", false) => Ok(Some(None)),
        (other, false) => Err(format!("`{other}` is no mark: + allow, x deny, ! reject, ? no claim, . itself")),
    }
}

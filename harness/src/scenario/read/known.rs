//! Reading what stands beside an expectation: `{expect: LINE, known: TICKET until DAY, id: ID, owner: OWNER}`, and beside
//! matrices: `known: {1: TICKET until DAY}`, of which the cells bear the number behind their signs.

use policy::yaml::{self, Node, Text, Value};
use policy::{Problem, Span, TextError, Timestamp};
use reports::known::Tag;

use super::super::{KnownFailure, Mark, Variant};
use super::flow::Word;
use super::{Reader, keys};

const EXAMPLE: &str = "write `{expect: \"a -> b tcp/443: deny\", known: NET-12 until 2027-01-31}`";
const EXAMPLE_OF_NOTES: &str = "write `known: {1: NET-12 until 2027-01-31}`, and `x1` in the cells that this is about";

/// A note to the matrices of a step.
#[derive(Debug)]
pub(super) struct Note {
    failure: Option<KnownFailure>,
    place: Span,
    borne: bool,
}

impl Reader<'_> {
    /// The expectation itself, and what stands beside it.
    pub(super) fn marked<'n>(&mut self, node: &'n Node) -> Option<(&'n Node, Mark)> {
        let Value::Mapping(entries) = &node.value else { return Some((node, Mark::default())) };
        let [line, beside @ ..] = keys::MARKED;
        let has = |key: &str| entries.iter().any(|entry| entry.key.as_str() == key);
        // A session may be called so: `owner: alive`.
        if !has(line) && (entries.len() == 1 || !beside.into_iter().any(has)) {
            return Some((node, Mark::default()));
        }
        let fields = self.fields(node, "an expectation", &keys::MARKED, &[])?;
        let mut named = |key| {
            let text = fields.get(key).and_then(|node| yaml::text(node, "a name", &mut self.problems));
            text.map(|text| text.as_str().to_owned())
        };
        let tag = Tag { id: named("id"), owner: named("owner") };
        let known = fields.get("known").and_then(|node| self.known(node, EXAMPLE));
        let node = fields.require(line, &mut self.problems)?;
        Some((node, Mark { known, tag }))
    }

    /// The notes to a step's matrices, in the place of those of the step before.
    pub(super) fn notes(&mut self, node: Option<&Node>) {
        self.notes.clear();
        let what = "a note for each number, such as `1: NET-12 until 2027-01-31`";
        let entries = node.and_then(|node| yaml::pairs(node, what, &mut self.problems)).unwrap_or_default();
        for entry in entries {
            let (number, place) = (entry.key.as_str(), entry.key.span());
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                let problem = Problem::new(place, format!("`{number}` is no number of a note"));
                self.problems.report(problem.help(EXAMPLE_OF_NOTES));
                continue;
            }
            let failure = self.known(&entry.value, EXAMPLE_OF_NOTES);
            self.notes.insert(number.to_owned(), Note { failure, place, borne: false });
        }
    }

    /// A note that no cell bears is a mistake; in a trial, its cells may be left out.
    pub(super) fn borne(&mut self) {
        let idle: Vec<(String, Span)> = self
            .notes
            .iter()
            .filter(|(_, note)| !note.borne && self.variant == Variant::default())
            .map(|(number, note)| (number.clone(), note.place))
            .collect();
        idle.into_iter()
            .for_each(|(number, place)| self.wrong(place, format!("no cell of this step bears the note `{number}`")));
    }

    /// What the note at a cell says. `claims`: the cell claims something.
    pub(super) fn noted(&mut self, text: &Text, (number, place): Word<'_>, claims: bool) -> Mark {
        let error = match self.notes.get_mut(number) {
            _ if number.is_empty() => return Mark::default(),
            _ if !claims => "nothing is claimed here that could be known to fail".to_owned(),
            Some(note) => {
                note.borne = true;
                return Mark { known: note.failure.clone(), tag: Tag::default() };
            }
            None => format!("the step has no note `{number}`"),
        };
        let error = TextError::new(place, error).help(EXAMPLE_OF_NOTES);
        self.problems.report(Problem::within(text, error));
        Mark::default()
    }

    fn known(&mut self, node: &Node, example: &str) -> Option<KnownFailure> {
        let text = yaml::text(node, "a ticket and a day", &mut self.problems)?;
        let words: Vec<&str> = text.as_str().split_whitespace().collect();
        let found = match words.as_slice() {
            [ticket, "until", day] => {
                end_of(day).map(|ends| KnownFailure { ticket: (*ticket).to_owned(), until: (*day).to_owned(), ends })
            }
            _ => None,
        };
        if found.is_none() {
            let problem = Problem::new(text.span(), format!("`{}` is no `TICKET until DAY`", text.as_str()));
            self.problems.report(problem.help(example));
        }
        found
    }
}

/// The last instant of a day such as `2027-01-31`.
fn end_of(day: &str) -> Option<Timestamp> {
    let plain = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    plain.then(|| format!("{day}T23:59:59.999999999Z").parse().ok())?
}

//! Reading what stands beside an expectation: `{expect: LINE, known: TICKET until DAY, id: ID, owner: OWNER}`.

use policy::yaml::{self, Node, Value};
use policy::{Problem, Timestamp};
use reports::known::Tag;

use super::super::{KnownFailure, Mark};
use super::{Reader, keys};

const EXAMPLE: &str = "write `{expect: \"a -> b tcp/443: deny\", known: NET-12 until 2027-01-31}`";

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
        let known = fields.get("known").and_then(|node| self.known(node));
        let node = fields.require(line, &mut self.problems)?;
        Some((node, Mark { known, tag }))
    }

    fn known(&mut self, node: &Node) -> Option<KnownFailure> {
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
            self.problems.report(problem.help(EXAMPLE));
        }
        found
    }
}

/// The last instant of a day such as `2027-01-31`.
fn end_of(day: &str) -> Option<Timestamp> {
    let plain = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    plain.then(|| format!("{day}T23:59:59.999999999Z").parse().ok())?
}

//! Truth tables: who may speak to whom, by service, with what differs marked where it differs.
//!
//! Tables that are equal are shown once, and those with all as expected are folded: so a page stays small.

use std::collections::{BTreeMap, BTreeSet};

use policy::Family;

use super::markup::Markup;
use crate::event::{Cell, Finding, FindingKind, Word};
use crate::run::Step;
use crate::words::{count, shortened};

/// What names a cell of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow<'a> {
    service: &'a str,
    family: Family,
    source: &'a str,
    destination: &'a str,
}

/// The findings about each flow, with the place where they are told.
pub(super) type Links<'a> = BTreeMap<Flow<'a>, Vec<(FindingKind, Option<String>)>>;

/// The cells of one table, by source and destination.
type Cells<'a> = BTreeMap<(&'a str, &'a str), &'a Cell>;

/// Equal tables.
struct Table<'a> {
    of: Vec<(&'a str, Family)>,
    rows: Markup,
    flows: usize,
    differing: usize,
}

/// More columns than these have their names written upwards.
const MOST_LEVEL: usize = 6;
/// Of a longer name at the head of a column so much is shown.
const MOST_LONG: usize = 30;
/// So many differing cells of a table say in their title by which rules.
const MOST_TITLES: usize = 40;

impl<'a> Flow<'a> {
    fn of_cell(cell: &'a Cell) -> Self {
        let Cell { service, family, source, destination, .. } = cell;
        Self { service, family: *family, source, destination }
    }

    /// The flow that a finding is about.
    pub(super) fn of_finding(finding: &'a Finding) -> Option<Self> {
        Some(Self {
            service: finding.service.as_deref()?,
            family: finding.family?,
            source: finding.source.as_deref()?,
            destination: finding.destination.as_deref()?,
        })
    }
}

/// The tables of a step.
pub(super) fn write(section: &mut Markup, step: &Step, links: &Links<'_>) {
    let tables = tables(step, links);
    let shown: usize = tables.iter().map(Table::sum).sum();
    let (differing, calm): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.differing > 0);
    for table in &differing {
        let differ = if table.differing == 1 { "differs" } else { "differ" };
        let said = format!("{}, of which {} {differ} from what was expected", size(table), table.differing);
        one(section, table, &said);
    }
    if !calm.is_empty() {
        folded(section, &calm);
    }
    let hidden = step.cells.len() - shown;
    if hidden > 0 {
        let said =
            format!("{} of the same, such as open sessions, not shown in the tables.", count(hidden, "more flow"));
        section.element("p", &[("class", "faint")], &said);
    }
}

/// Tables with all as expected.
fn folded(section: &mut Markup, calm: &[Table<'_>]) {
    let flows = calm.iter().map(Table::sum).sum();
    section.within("details", &[], |details| {
        let (tables, flows) = (count(calm.len(), "truth table"), count(flows, "flow"));
        details.within("summary", &[], |summary| {
            summary.constant("<span class=good>✓</span> ").text(&format!("{tables} with {flows}, all as expected"));
        });
        calm.iter().for_each(|table| one(details, table, &size(table)));
    });
}

impl Table<'_> {
    /// How many flows it shows, in all that it stands for.
    fn sum(&self) -> usize {
        self.flows * self.of.len()
    }
}

fn size(table: &Table<'_>) -> String {
    let each = if table.of.len() > 1 { " each" } else { "" };
    format!("{}{each}", count(table.flows, "flow"))
}

fn one(out: &mut Markup, table: &Table<'_>, said: &str) {
    out.constant("<div class=scroll tabindex=0>\n<table class=truth>");
    out.element("caption", &[], &format!("{}: {said}", title(&table.of)));
    out.constant("\n").append(&table.rows).constant("</table>\n</div>\n");
}

/// `tcp/22 v4 v6, udp/53 v4`.
fn title(of: &[(&str, Family)]) -> String {
    let mut families: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    of.iter().for_each(|(service, family)| families.entry(service).or_default().push(family.to_string()));
    let each = families.iter().map(|(service, families)| format!("{service} {}", families.join(" ")));
    each.collect::<Vec<_>>().join(", ")
}

fn tables<'a>(step: &'a Step, links: &Links<'_>) -> Vec<Table<'a>> {
    let mut cells: BTreeMap<(&str, Family), Cells<'_>> = BTreeMap::new();
    for cell in &step.cells {
        let held = cells.entry((&cell.service, cell.family)).or_default();
        let place = (cell.source.as_str(), cell.destination.as_str());
        // Of several of one flow, such as a probe beside an open session, the one that differs is shown.
        let shown = held.entry(place).or_insert(cell);
        if shown.expected.verdict == shown.observed.verdict {
            *shown = if cell.expected.verdict == cell.observed.verdict { *shown } else { cell };
        }
    }
    let mut tables: Vec<Table<'a>> = Vec::new();
    for (of, cells) in cells {
        let (rows, differing) = rows(&cells, links);
        match tables.iter_mut().find(|table| table.rows == rows) {
            Some(table) => table.of.push(of),
            None => tables.push(Table { of: vec![of], rows, flows: cells.len(), differing }),
        }
    }
    tables
}

/// Names once each, in the order in which a person counts: `web-9` before `web-10`.
fn ordered<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect::<BTreeSet<_>>().into_iter().collect();
    names.sort_by_cached_key(|name| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        (stem.to_owned(), name[stem.len()..].parse::<u64>().unwrap_or(0))
    });
    names
}

/// The rows of a table, and how many of its cells differ.
fn rows(cells: &Cells<'_>, links: &Links<'_>) -> (Markup, usize) {
    let sources = ordered(cells.keys().map(|(source, _)| *source));
    let destinations = ordered(cells.keys().map(|(_, destination)| *destination));
    let mut rows = Markup::default();
    let mut differing = 0;
    rows.constant("<tr><th>from ↓ to →");
    let upwards: &[(&'static str, &str)] = if destinations.len() > MOST_LEVEL { &[("class", "up")] } else { &[] };
    for destination in &destinations {
        rows.constant("<th scope=col>")
            .open("span", &[upwards, &[("title", *destination)]].concat())
            .text(&shortened(destination, MOST_LONG))
            .constant("</span>");
    }
    for source in sources {
        rows.constant("\n<tr><th scope=row>").text(source);
        for destination in &destinations {
            let Some(cell) = cells.get(&(source, *destination)) else {
                rows.constant(empty(source, destination));
                continue;
            };
            differing += usize::from(write_cell(&mut rows, cell, links, differing < MOST_TITLES));
        }
    }
    rows.constant("\n");
    (rows, differing)
}

/// A cell of which nothing was tried: of a station and itself, or of a pair that is not there.
fn empty(source: &str, destination: &str) -> &'static str {
    if source == destination { "<td>·" } else { "<td>" }
}

/// A cell: its sign, or where it differs what was expected, what was observed, and the kind of the finding.
fn write_cell(rows: &mut Markup, cell: &Cell, links: &Links<'_>, titled: bool) -> bool {
    let found = links.get(&Flow::of_cell(cell)).map(Vec::as_slice).unwrap_or_default();
    let (expected, observed) = (cell.expected.verdict, cell.observed.verdict);
    if found.is_empty() && expected == observed {
        rows.open("td", &[("class", class(observed))]).text(observed.glyph());
        return false;
    }
    // That packets went another way says more than that the policy reads another way.
    let told = found.iter().find(|(kind, _)| *kind != FindingKind::Disagreement).or(found.first());
    let (word, place) = told.map_or(("differs", None), |(kind, place)| (kind.as_str(), place.as_deref()));
    let title = format!("expected {}; observed {}", cell.expected.phrase(), cell.observed.phrase());
    rows.open("td", &[("class", "differs"), ("title", &title)][..if titled { 2 } else { 1 }]);
    let (tag, attributes): (_, Vec<_>) = match place {
        Some(place) => ("a", vec![("href", place)]),
        None => ("span", Vec::new()),
    };
    rows.within(tag, &attributes, |told| {
        told.text(&format!("{}→{} {word}", expected.glyph(), observed.glyph()));
    });
    true
}

fn class(verdict: Word) -> &'static str {
    match verdict {
        Word::Allow => "a",
        Word::Deny | Word::Reject | Word::Cut => "i",
        Word::Refused | Word::Unreachable | Word::Unproven => "o",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let rows: [(&[&str], &[&str]); 3] = [
            (&["web-10", "web-9", "db"], &["db", "web-9", "web-10"]),
            (&["b", "a", "b"], &["a", "b"]),
            (&["7", "07", "99999999999999999999", "x"], &["99999999999999999999", "07", "7", "x"]),
        ];
        for (names, expected) in rows {
            assert_eq!(ordered(names.iter().copied()), expected);
        }
    }
}

//! Matrices that stand in files of comma-separated values: the same cells as those of a table in the scenario.

use std::ops::Range;

use policy::yaml::Text;
use policy::{FlowService, Problems, line_and_column};

use super::super::Expectation;
use super::Reader;
use super::flow::Word;

/// How a name of such a file ends, where `csv:` does not say that it is one.
pub(super) const ENDING: &str = ".csv";

impl Reader<'_> {
    /// The cells of a file's table. What is wrong in it is told at its place there.
    pub(super) fn csv(&mut self, name: &Text, service: FlowService) -> Vec<Expectation> {
        let Some(table) = self.text_beside(name, "table") else { return Vec::new() };
        let here: Problems = std::mem::take(&mut self.problems);
        let text = Text::verbatim(&table, 0);
        let mut cells = self.table(&text, rows(&table), service);
        let there = std::mem::replace(&mut self.problems, here);
        self.foreign.extend(there.into_errors(name.as_str(), &table));
        let (line, place) = (self.line(name.span()), name.span());
        for cell in &mut cells {
            let row = line_and_column(&table, cell.place.start).0;
            cell.text = format!("{} ({}:{row})", cell.text, name.as_str());
            (cell.line, cell.place) = (line, place.start..place.end);
        }
        cells
    }
}

/// The rows that are not empty, as fields: without the spaces and the quotes around them.
fn rows(table: &str) -> impl Iterator<Item = Vec<Word<'_>>> {
    let mut at = 0;
    let lines = table.split('\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line)
    });
    lines.filter(|(_, line)| !line.trim_matches([',', ' ', '\t', '\r']).is_empty()).map(move |(start, line)| {
        let mut at = start;
        let fields = line.split(',').map(|field| {
            let place = at..at + field.len();
            at = place.end + 1;
            trimmed(table, place)
        });
        fields.collect()
    })
}

fn trimmed(table: &str, Range { start, end }: Range<usize>) -> Word<'_> {
    let field = table.get(start..end).unwrap_or_default();
    // What spreadsheets put before the whole.
    let inner = field.trim_start_matches('\u{feff}').trim();
    let inner = inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(inner).trim();
    let start = start + field.find(inner).unwrap_or_default();
    (inner, start..start + inner.len())
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn fields_lose_spaces_and_quotes_and_keep_their_places() {
        let table = "\u{feff}->,a, \"b\"\r\n,,\r\n\r\na,.,+\n";
        let read: Vec<Vec<&str>> = rows(table).map(|row| row.into_iter().map(|(word, _)| word).collect()).collect();
        assert_eq!(read, [["->", "a", "b"], ["a", ".", "+"]]);
        assert!(rows(table).flatten().all(|(word, place)| &table[place] == word));
    }
}

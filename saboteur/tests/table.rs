//! The table in EXPECTED.md and the one in the code say the same.

use clap::ValueEnum as _;
use saboteur::{EXPECTED, Kind};

#[test]
fn the_tables_agree() {
    let text = include_str!("../EXPECTED.md");
    let told: Vec<(String, String)> = text.lines().filter_map(row).collect();
    let known: Vec<(String, String)> =
        EXPECTED.iter().map(|(kind, finding)| (name(*kind), (*finding).to_owned())).collect();
    assert_eq!(told, known);
    let kinds: Vec<Kind> = EXPECTED.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, Kind::value_variants());
}

fn name(kind: Kind) -> String {
    kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// The first and the last cell of a row of the table.
fn row(line: &str) -> Option<(String, String)> {
    let cells: Vec<&str> = line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [kind, _, finding] = cells[..] else { return None };
    (kind != "kind" && !kind.starts_with('-')).then(|| (kind.to_owned(), finding.to_owned()))
}

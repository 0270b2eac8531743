//! Expectations that are known to fail: until their day is over they fail nothing, and then they do again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

use harness::judge::{excuse, set_apart};
use harness::plan::{PlannedStep, plan};
use harness::scenario::parse;
use policy::{Timestamp, render_plain};
use reports::event::{Finding, FindingKind};

const SCENARIO: &str = "
eastwest: scenario/v1
topology:
  hosts: [a]
  vms:
    one: {host: a}
    two: {host: a}
policy: {rules: [{name: web, allow: tcp/80}]}
steps:
  - name: it holds
    expect:
      - {expect: \"one -> two tcp/80: allow by web\", known: NET-12 until 2027-01-31, id: web-1, owner: net-team}
      - {expect: \"agent two: online\", owner: hosts}
      - \"one -> two tcp/81: deny by default\"
      - {expect: \"agent one: online\", known: NET-13 until 2027-01-31}
";

fn step() -> PlannedStep {
    let scenario = parse("known.yaml", SCENARIO, &mut |_| Err("none".to_owned()));
    let scenario = scenario.unwrap_or_else(|errors| panic!("{}", render_plain(&errors.files()[0])));
    plan(&scenario, Timestamp::UNIX_EPOCH).remove(0)
}

/// A finding of the expectation that begins so.
fn finding(kind: FindingKind, begins: &str) -> Finding {
    let line = SCENARIO.lines().position(|line| line.contains(begins)).unwrap() + 1;
    let text = SCENARIO.lines().nth(line - 1).unwrap().split('"').nth(1).unwrap();
    let bare = serde_json::json!({
        "kind": "unmet", "step": "it holds", "expectation": text, "source": null, "destination": null, "service": null,
        "family": null, "expected": null, "observed": null, "line": line, "detail": "seen"
    });
    Finding { kind, ..serde_json::from_value(bare).unwrap() }
}

const BEFORE: &str = "2027-01-31T23:59:59Z";
const BEHIND: &str = "2027-02-01T00:00:00Z";
const FIRST: &str = "one -> two tcp/80";
const SECOND: &str = "agent two";
const THIRD: &str = "one -> two tcp/81";
const FOURTH: &str = "agent one";
const MENDED: &str = "what is known as NET-12 fails no more: take the mark away";

/// What is found, when, what stays a finding (by its words), and which tickets are known.
fn check(found: &[(FindingKind, &str)], now: &str, plain: &[&str], tickets: &[&str]) {
    let found: Vec<Finding> = found.iter().map(|(kind, begins)| finding(*kind, begins)).collect();
    let shown = format!("{found:?} at {now}");
    let (left, known) = set_apart(&step(), found, now.parse().unwrap());
    let words: Vec<String> = left.iter().map(|finding| finding.detail.replace('\n', "; ")).collect();
    assert_eq!(words, plain, "{shown}");
    assert_eq!(known.iter().map(|known| known.ticket.as_str()).collect::<Vec<_>>(), tickets, "{shown}");
}

#[test]
fn what_is_known_fails_nothing_until_its_day_is_over() {
    use FindingKind::{Disagreement, HarnessError, Leak, NotRun, Overblock, Unmet};
    let both = [(Overblock, FIRST), (Unmet, FOURTH)];
    check(&both, BEFORE, &[], &["NET-12", "NET-13"]);
    check(&[(Disagreement, FIRST), (Overblock, FIRST), (Unmet, FOURTH)], BEFORE, &[], &["NET-12", "NET-12", "NET-13"]);
    let over =
        "the expectation is web-1, owner net-team; it was known as NET-12 until 2027-01-31, and that time is over";
    let over = format!("seen; {over}");
    check(&both, BEHIND, &[&over, "seen; it was known as NET-13 until 2027-01-31, and that time is over"], &[]);
    check(&[(Unmet, FOURTH)], BEFORE, &[&format!("{MENDED}; the expectation is web-1, owner net-team")], &["NET-13"]);
    let third = [(Leak, THIRD), both[0], both[1]];
    check(&third, BEFORE, &["seen"], &["NET-12", "NET-13"]);
    let second = [(Unmet, SECOND), both[0], both[1]];
    check(&second, BEFORE, &["seen; the expectation is owner hosts"], &["NET-12", "NET-13"]);
    for kind in [NotRun, HarnessError] {
        check(&[(kind, FIRST), both[1]], BEFORE, &["seen; the expectation is web-1, owner net-team"], &["NET-13"]);
    }
}

#[test]
fn by_the_oracle_alone_nothing_is_taken_for_mended() {
    let now = BEFORE.parse().unwrap();
    assert_eq!(excuse(&step(), Vec::new(), now), (Vec::new(), Vec::new()));
    let (left, known) = excuse(&step(), vec![finding(FindingKind::Disagreement, FIRST)], now);
    assert_eq!((left.len(), known.len()), (0, 1));
    assert_eq!(known[0].finding.tag.as_ref().unwrap().to_string(), "web-1, owner net-team");
}

const TABLES: &str = "
eastwest: scenario/v1
topology:
  hosts: [a]
  vms:
    one: {host: a}
    two: {host: a}
policy: {rules: [{name: web, allow: tcp/80}]}
steps:
  - name: it holds
    matrix:
      tcp/80: |
        ->   one  two
        one  .    +1
        two  +    .
      tcp/81: closed.csv
    known:
      1: NET-12 until 2027-01-31
      22: NET-13 until 2027-01-31
";
const CLOSED: &str = "->,one,two\none,.,x22\ntwo,x1,.\n";

#[test]
fn cells_of_matrices_bear_notes() {
    let scenario = parse("tables.yaml", TABLES, &mut |_| Ok(CLOSED.to_owned()));
    let scenario = scenario.unwrap_or_else(|errors| panic!("{}", render_plain(&errors.files()[0])));
    let step = plan(&scenario, Timestamp::UNIX_EPOCH).remove(0);
    let marked: Vec<String> = step
        .marked
        .iter()
        .map(|one| format!("{} {}: {}", one.line, one.text, one.mark.known.as_ref().unwrap().ticket))
        .collect();
    assert_eq!(
        marked,
        [
            "14 one -> two tcp/80: allow: NET-12",
            "16 one -> two tcp/81: deny (closed.csv:2): NET-13",
            "16 two -> one tcp/81: deny (closed.csv:3): NET-12",
        ]
    );
    let (left, _) = set_apart(&step, Vec::new(), BEFORE.parse().unwrap());
    assert_eq!(left.len(), 3, "each of them fails no more: {left:#?}");
}

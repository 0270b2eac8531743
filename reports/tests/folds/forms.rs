//! Markdown, workflow commands and TAP: what they say of the small stream, what they do with hostile names, and how long
//! they get.

use reports::event::{Event, Finding, FindingKind, ScenarioOutcome, VERSION};
use reports::{Github, Markdown, Run, Tap};

use crate::stream::{ended, finding, id, stream};

/// The three forms of a stream.
fn forms(events: &[Event]) -> [String; 3] {
    let (mut markdown, mut github, mut tap) = (Markdown::default(), Github::default(), Tap::default());
    for event in events {
        markdown.event(event);
        github.event(event);
        tap.event(event);
    }
    let mut texts = [Vec::new(), Vec::new(), Vec::new()];
    markdown.finish(&mut texts[0]).unwrap();
    github.finish(&mut texts[1]).unwrap();
    tap.finish(&mut texts[2]).unwrap();
    texts.map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn each_form_tells_the_small_stream() {
    let [markdown, github, tap] = forms(&stream());
    insta::assert_snapshot!("markdown", markdown);
    insta::assert_snapshot!("github", github);
    insta::assert_snapshot!("tap", tap);
}

#[test]
fn findings_are_new_gone_still_there_or_not_tried_again() {
    let baseline = |events: &[Event]| {
        let mut run = Run::default();
        events.iter().for_each(|event| run.event(event));
        run
    };
    let earlier = |name: &str, findings: Vec<Finding>| {
        let scenario = id(name);
        let outcome = ScenarioOutcome::Failed;
        Event::ScenarioFinished { scenario, outcome, seconds: 1.0, reason: None, findings }
    };
    let all = |numbers: &[usize]| numbers.iter().map(|number| about(&format!("claim {number}"), 0)).collect::<Vec<_>>();
    let before = baseline(&[earlier("one", all(&[1, 2])), earlier("two", all(&[3])), earlier("three", all(&[4]))]);
    let mut markdown = Markdown::compared_with(Some(before));
    markdown.event(&earlier("one", all(&[2, 5, 5])));
    markdown.event(&ended("two", ScenarioOutcome::Error, Some("it fell over")));
    let mut bytes = Vec::new();
    markdown.finish(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let sums = "### Findings since the baseline: 1 new, 1 gone, 1 still there, 2 not tried again";
    assert!(text.contains(sums), "{text}");
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("| leak |")).map(|line| &line[..9]).collect();
    let expected = ["| new | l", "| gone | ", "| still t", "| not tri", "| not tri"];
    assert_eq!(rows.get(..5), Some(expected.as_slice()), "{text}");
}

/// A run of scenarios of these names, each failed with so many findings of different causes.
fn failing(names: &[&str], findings: usize) -> Vec<Event> {
    let ids: Vec<_> = names.iter().map(|name| id(name)).collect();
    let begun = Event::RunStarted { version: VERSION, scenarios: ids, seed: 7, jobs: 1, model: false };
    let mut events = vec![begun];
    for name in names {
        let Event::ScenarioFinished { scenario, seconds, .. } = ended(name, ScenarioOutcome::Failed, None) else {
            continue;
        };
        let findings = (0..findings).map(|number| about(name, number)).collect();
        let outcome = ScenarioOutcome::Failed;
        events.push(Event::ScenarioFinished { scenario, outcome, seconds, reason: None, findings });
    }
    events.push(Event::RunFinished { seconds: 2.5, interrupted: false });
    events
}

fn about(name: &str, number: usize) -> Finding {
    let cell = crate::stream::cell(
        "hr-1",
        crate::stream::side(reports::event::Word::Deny, Some(name), None),
        crate::stream::side(reports::event::Word::Allow, None, None),
    );
    let mut found = finding(FindingKind::Leak, &cell, name);
    found.line = number + 1;
    name.clone_into(&mut found.detail);
    found
}

/// A row: a name, and how Markdown, GitHub's title and TAP's description have it.
fn check_name(name: &str, expected: [&str; 3]) {
    let [markdown, github, tap] = forms(&failing(&[name], 1));
    let lines = |text: &str, begins: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.trim_start().strip_prefix(begins).map(str::to_owned)).collect()
    };
    assert_eq!(lines(&markdown, "### failed: "), [expected[0]], "{markdown}");
    let errors = lines(&github, "::error ");
    let [error] = errors.as_slice() else { unreachable!("one error, and one line for it: {github}") };
    assert!(error.contains(expected[1]), "{error} has not {}", expected[1]);
    assert_eq!(github.lines().count(), 2, "{github}");
    assert_eq!(lines(&tap, "not ok 1 - ").last().map(String::as_str), Some(expected[2]), "{tap}");
}

#[test]
fn no_name_breaks_out_of_its_place() {
    let rows: [(&str, [&str; 3]); 6] = [
        ("plain", ["`plain`", "::plain, step `", "plain"]),
        ("<script>alert(1)</script>", ["`<script>alert(1)</script>`", "::<script>", "<script>alert(1)</script>"]),
        ("a\n::error::b", ["`a ::error::b`", "::a%0A::error::b, step", "a ::error::b"]),
        ("100 % # SKIP", ["`100 % # SKIP`", "::100 %25 # SKIP", "100 % \\# SKIP"]),
        ("`tick` ``two``", ["``` `tick` ``two`` ```", "::`tick`", "`tick` ``two``"]),
        ("back\\slash | @all", ["`back\\slash | @all`", "::back\\slash | @all", "back\\\\slash | @all"]),
    ];
    for (name, expected) in rows {
        check_name(name, expected);
    }
}

#[test]
fn a_pipe_ends_no_cell_and_a_comma_no_property() {
    let [markdown, github, _] = forms(&failing(&["a | b, c: d"], 1));
    assert!(markdown.contains("| `deny by a \\| b, c: d` |"), "{markdown}");
    assert!(github.contains("file=scenarios/a-|-b%2C-c%3A-d.yaml,line=1,title=leak%3A "), "{github}");
}

#[test]
fn github_gets_what_it_shows_and_is_told_of_the_rest() {
    // A row: scenarios, findings of each, and the errors expected, of which the last may speak for others.
    let rows = [(1, 10, 10, None), (1, 11, 10, Some("2 annotations more")), (3, 100, 10, Some("291 annotations more"))];
    for (scenarios, findings, errors, last) in rows {
        let names = &["one", "two", "three"][..scenarios];
        let [_, github, _] = forms(&failing(names, findings));
        let found: Vec<&str> = github.lines().filter(|line| line.starts_with("::error ")).collect();
        assert_eq!(found.len(), errors, "{github}");
        let said = last.is_none_or(|last| found[errors - 1].contains(last));
        assert!(said && github.matches(" more").count() == usize::from(last.is_some()), "{github}");
        assert!(
            names.iter().all(|name| found.iter().any(|line| line.contains(name))),
            "each scenario is named: {github}"
        );
    }
}

#[test]
fn markdown_stays_within_what_a_comment_may_hold() {
    let names: Vec<String> = (0..60).map(|number| format!("{number} {}", "long ".repeat(200))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let [markdown, ..] = forms(&failing(&names, 30));
    assert!(markdown.chars().count() < 65_536, "{} characters", markdown.chars().count());
    let last = markdown.lines().last().unwrap();
    assert!(last.starts_with("Left out for length: ") && last.contains("scenarios with "), "{last}");
    let [markdown, ..] = forms(&failing(&["many"], 50));
    assert!(markdown.contains("… and 10 findings more") && markdown.contains("… and 40 causes more"), "{markdown}");
}

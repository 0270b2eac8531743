//! The HTML page: the example that is kept beside its recording, hostile names, its size, and what it compares.
//!
//! After a change that is meant, `BLESS=1 cargo test --release --locked -p reports --test page` writes the example anew;
//! look at it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use policy::Family;
use reports::event::{Cell, Event, Figures, Finding, FindingKind, ScenarioId, ScenarioOutcome, Side, VERSION, Word};
use reports::topology::{Topology, Vm};
use reports::{Html, Run, read_recording};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn page(events: &[Event], baseline: Option<&[Event]>) -> String {
    let gathered = |events: &[Event]| {
        let mut run = Run::default();
        events.iter().for_each(|event| run.event(event));
        run
    };
    let mut html = Html::compared_with(baseline.map(gathered));
    events.iter().for_each(|event| html.event(event));
    let mut bytes = Vec::new();
    html.finish(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The page of the recording that is kept.
fn example() -> String {
    let recording = fs::File::open(examples().join("events.jsonl")).unwrap();
    page(&read_recording(BufReader::new(recording)).unwrap().events, None)
}

#[test]
fn the_example_is_what_its_recording_gives() {
    let rendered = example();
    let path = examples().join("report.html");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &rendered).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let differing = rendered.lines().zip(kept.lines()).find(|(new, old)| new != old);
    assert!(rendered == kept, "{} is out of date, at {differing:?}: BLESS=1 writes it anew", path.display());
}

fn id(name: &str) -> ScenarioId {
    ScenarioId { name: name.to_owned(), file: format!("{name}.yaml") }
}

fn side(verdict: Word, rule: &str) -> Side {
    Side { verdict, rule: Some(rule.to_owned()), end: None, would: None }
}

fn cell((source, destination): (&str, &str), service: &str, family: Family, observed: Word) -> Cell {
    Cell {
        source: source.to_owned(),
        destination: destination.to_owned(),
        service: service.to_owned(),
        family,
        expected: side(Word::Deny, "default"),
        observed: side(observed, "default"),
        by_oracle: false,
        note: String::new(),
        generation: 2,
        settle_us: 200,
    }
}

fn finding(cell: &Cell, detail: &str) -> Finding {
    Finding {
        kind: FindingKind::Leak,
        step: "first".to_owned(),
        expectation: detail.to_owned(),
        source: Some(cell.source.clone()),
        destination: Some(cell.destination.clone()),
        service: Some(cell.service.clone()),
        family: Some(cell.family),
        expected: Some(cell.expected.clone()),
        observed: Some(cell.observed.clone()),
        line: 9,
        detail: detail.to_owned(),
        diagnosis: None,
        tag: None,
    }
}

fn vm(name: &str, host: &str) -> Vm {
    let labels = [(name.to_owned(), name.to_owned())].into();
    Vm { name: name.to_owned(), host: host.to_owned(), labels, addresses: Vec::new(), managed: false }
}

/// A scenario: its name, its outcome, its VMs, and the cells of its steps.
type Told<'a> = (&'a str, ScenarioOutcome, Vec<Vm>, Vec<Vec<Cell>>);

/// A run of scenarios, each with its outcome, its VMs and its steps' cells; what was delivered is a leak.
fn run(scenarios: &[Told<'_>]) -> Vec<Event> {
    let ids = scenarios.iter().map(|(name, ..)| id(name)).collect();
    let mut events = vec![Event::RunStarted { version: VERSION, scenarios: ids, seed: 7, jobs: 2, model: false }];
    for (name, outcome, vms, steps) in scenarios {
        let mut hosts: Vec<String> = vms.iter().map(|vm| vm.host.clone()).collect();
        hosts.dedup();
        let topology = Topology { hosts, vms: vms.clone(), outside: Vec::new() };
        let names = steps.iter().map(|_| format!("step of {name}")).collect();
        events.push(Event::ScenarioStarted { scenario: id(name), steps: names, topology });
        for cells in steps {
            let leaks = cells.iter().filter(|cell| cell.observed.verdict == Word::Allow);
            events.push(Event::StepFinished {
                scenario: id(name),
                step: (*name).to_owned(),
                generation: 2,
                cells: cells.clone(),
                findings: leaks.map(|cell| finding(cell, name)).collect(),
                known: Vec::new(),
                figures: Figures::default(),
            });
        }
        let reason = (*outcome == ScenarioOutcome::Error).then(|| (*name).to_owned());
        let (scenario, findings) = (id(name), Vec::new());
        events.push(Event::ScenarioFinished { scenario, outcome: *outcome, seconds: 1.0, reason, findings });
    }
    events.push(Event::RunFinished { seconds: 2.5, interrupted: false });
    events
}

/// A page in which every word that a user can choose is this one.
fn named(name: &str) -> String {
    let mut leak = cell((name, "b"), name, Family::V4, Word::Allow);
    (leak.expected.rule, leak.observed.rule) = (Some(name.to_owned()), Some(name.to_owned()));
    let cells = vec![leak, cell(("b", name), name, Family::V6, Word::Deny)];
    let vms = vec![vm(name, name), vm("b", name)];
    let events = run(&[
        (name, ScenarioOutcome::Failed, vms.clone(), vec![cells]),
        (&format!("{name} too"), ScenarioOutcome::Error, vms, Vec::new()),
    ]);
    let earlier = run(&[(&format!("{name} was"), ScenarioOutcome::Failed, Vec::new(), Vec::new())]);
    page(&events, Some(&earlier))
}

/// The tags of a page, and the names of their attributes.
fn tags(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let mut quoted = false;
        let end = rest[at..].find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let tag = &rest[at..at + end.unwrap_or(rest.len() - at - 1)];
        let unquoted = tag.split('"').step_by(2).collect::<Vec<_>>().join("");
        let words = unquoted.split_whitespace().map(|word| word.split('=').next().unwrap_or("").to_owned());
        tags.push(words.collect::<Vec<_>>().join(" "));
        rest = &rest[at + tag.len()..];
    }
    tags
}

#[test]
fn whatever_the_names_are_the_tags_are_the_same() {
    let plain = tags(&named("plain"));
    assert!(plain.len() > 100 && plain.contains(&"<td class title".to_owned()), "{plain:?}");
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onclick='alert(1)",
        "</title></style></summary></svg>",
        "&lt;b&gt; --> <!-- ]]>",
        "javascript:alert(1)//",
        "a\u{202e}b\u{0}\u{1b}[31m\u{85}",
    ];
    for name in hostile {
        let page = named(name);
        assert_eq!(tags(&page), plain, "{name}");
        let shown = |character: char| character == '\n' || !character.is_control() && character != '\u{202e}';
        assert!(page.chars().all(shown), "{name}");
    }
    assert!(named("<script>").contains("&lt;script&gt;"));
}

#[test]
fn nothing_is_fetched_run_or_sent() {
    for page in [example(), named("plain")] {
        for forbidden in
            ["http:", "https:", "src=", "url(", "@import", "<script", "<iframe", "<object", "<form", "<base"]
        {
            assert!(!page.contains(forbidden), "the page holds `{forbidden}`");
        }
        let handlers: Vec<String> = tags(&page).into_iter().filter(|tag| tag.contains(" on")).collect();
        assert!(handlers.is_empty(), "{handlers:?}");
        assert!(page.contains("content=\"default-src &#39;none&#39;; "), "a policy that refuses all the rest");
    }
}

/// A step of 20 VMs that speak to each other over four services, of which so many leak; no two tables are equal.
fn wide(step: usize, leaks: usize) -> Vec<Cell> {
    let pairs = || (0..20).flat_map(|source| (0..20).map(move |destination| (source, destination)));
    let mut cells = Vec::new();
    for (at, service) in ["tcp/22", "tcp/443", "udp/53", "icmp/echo-request"].into_iter().enumerate() {
        for (number, family) in [Family::V4, Family::V6].into_iter().enumerate() {
            for (source, destination) in pairs().filter(|(source, destination)| source != destination) {
                let rejected = (source * destination + at + step * number).is_multiple_of(7);
                let names = (&*format!("a-rather-long-name-{source}"), &*format!("a-rather-long-name-{destination}"));
                let mut cell = cell(names, service, family, [Word::Deny, Word::Reject][usize::from(rejected)]);
                cell.expected.verdict = cell.observed.verdict;
                cells.push(cell);
            }
        }
    }
    cells.iter_mut().take(leaks).for_each(|cell| cell.observed.verdict = Word::Allow);
    cells
}

#[test]
fn a_page_of_twenty_vms_stays_small() {
    // A row: how many flows of each step differ, and how many bytes the page may have.
    for (leaks, most) in [(0, 400_000), (100, 600_000), (3040, 1_000_000)] {
        let names = (0..20).map(|number| (format!("a-rather-long-name-{number}"), format!("rack-{}", number / 5)));
        let vms = names.map(|(name, host)| vm(&name, &host)).collect();
        let steps = (0..6).map(|step| wide(step, leaks)).collect();
        let outcome = if leaks == 0 { ScenarioOutcome::Passed } else { ScenarioOutcome::Failed };
        let page = page(&run(&[("wide", outcome, vms, steps)]), None);
        assert!(page.len() < most, "{} bytes with {leaks} leaks", page.len());
    }
}

#[test]
fn an_earlier_run_is_compared_with() {
    use ScenarioOutcome::{Error, Failed, Passed, Skipped};
    let plain = |rows: &[(&'static str, ScenarioOutcome)]| {
        run(&rows.iter().map(|(name, outcome)| (*name, *outcome, Vec::new(), Vec::new())).collect::<Vec<_>>())
    };
    let earlier =
        [("a", Passed), ("b", Failed), ("c", Error), ("d", Skipped), ("e", Passed), ("f", Passed), ("h", Failed)];
    let later =
        [("a", Failed), ("b", Passed), ("c", Failed), ("d", Passed), ("e", Skipped), ("f", Passed), ("g", Error)];
    let page = page(&plain(&later), Some(&plain(&earlier)));
    let titles = [
        ("newly failing", "a"),
        ("still failing", "c"),
        ("newly passing", "b"),
        ("new<", "g"),
        ("gone", "h"),
        ("left out, ran before", "e"),
        ("runs, was left out before", "d"),
    ];
    for (title, name) in titles {
        let group = page.split("<summary>").find(|part| part.contains(title)).unwrap_or_default();
        let items: Vec<&str> = group.split("</summary>").nth(1).unwrap_or("").split("<li>").skip(1).collect();
        assert!(items.len() == 1 && items[0].contains(&format!("{name}.yaml")), "{title}: {group}");
    }
    assert!(page.contains("As before: 1 scenario."), "{page}");
}

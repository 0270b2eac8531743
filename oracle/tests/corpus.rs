//! The golden corpus: policy text, flow, verdict, written by hand from the semantics.
//!
//! A file of `tests/corpus` has sections: `[inventory]` (`managed PREFIX…`, `vm NAME ADDRESS… KEY=VALUE… [unmanaged]
//! [quarantined] [dhcp]`; `%20` is a space), `[policy]` (YAML; a line `file: PATH` reads it), and `[flows]`:
//!
//! `SOURCE -> DESTINATION SERVICE [v6] [from PORT] [@ INSTANT] = VERDICT by RULE [at END] [would VERDICT by RULE [at END]] [; RULE | RULE]`
//!
//! where the last part names the deciders at the source and at the destination, and `-` stands for none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the corpus is files")]

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use oracle::judge_from;
use policy::{Family, Flow, Inventory, Policy, Ruling, Timestamp, Vm, parse, render_plain};

const NOW: &str = "2026-11-24T12:00:00Z";

fn add(inventory: &mut Inventory, line: &str) {
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap();
    if kind == "managed" {
        inventory.managed = words.map(|word| word.parse().unwrap()).collect();
        return;
    }
    assert_eq!(kind, "vm", "{line}");
    let name = words.next().unwrap().parse().unwrap();
    let mut vm = Vm { managed: true, ..Vm::default() };
    for word in words {
        match (word, word.split_once('='), word.parse()) {
            ("unmanaged", ..) => vm.managed = false,
            ("quarantined", ..) => vm.quarantined = true,
            ("dhcp", ..) => vm.dhcp = true,
            (_, Some((key, value)), _) => {
                vm.labels.insert(key.replace("%20", " "), value.replace("%20", " "));
            }
            (_, None, address) => vm.addresses.push(address.expect(line)),
        }
    }
    inventory.vms.insert(name, vm);
}

fn address(inventory: &Inventory, word: &str, family: Family) -> IpAddr {
    if let Ok(address) = word.parse() {
        return address;
    }
    let vm = inventory.vms.get(word).unwrap_or_else(|| panic!("no VM {word}"));
    *vm.addresses.iter().find(|address| Family::of(**address) == family).expect(word)
}

/// A flow as written, its source port, and its instant.
fn flow(inventory: &Inventory, text: &str) -> (Flow, Option<u16>, Timestamp) {
    let (text, now) = text.split_once('@').map_or((text, NOW), |(text, now)| (text, now.trim()));
    let words: Vec<&str> = text.split_whitespace().collect();
    let [source, "->", destination, service, rest @ ..] = words.as_slice() else { panic!("{text}") };
    let (family, rest) = rest
        .split_first()
        .filter(|(word, _)| **word == "v6")
        .map_or((Family::V4, rest), |(_, rest)| (Family::V6, rest));
    let port = if let ["from", port] = rest { Some(port.parse().unwrap()) } else { None };
    let flow = Flow {
        source: address(inventory, source, family),
        destination: address(inventory, destination, family),
        service: service.parse().unwrap_or_else(|error| panic!("{service}: {error}")),
    };
    (flow, port, now.parse().unwrap())
}

/// A ruling in the words of the corpus.
fn told(ruling: &Ruling) -> String {
    let mut out = format!("{} by {}", ruling.verdict, ruling.rule.as_deref().unwrap_or("-"));
    if let Some(end) = ruling.end {
        write!(out, " at {end}").unwrap();
    }
    if let Some(would) = &ruling.would {
        write!(out, " would {} by {}", would.verdict, would.rule.as_deref().unwrap_or("-")).unwrap();
        if let Some(end) = would.end {
            write!(out, " at {end}").unwrap();
        }
    }
    out
}

/// What one row says wrongly, if anything.
fn check(policy: &Policy, inventory: &Inventory, row: &str) -> Option<String> {
    let (asked, expected) = row.split_once('=').expect(row);
    let (expected, deciders) =
        expected.split_once(';').map_or((expected, None), |(verdict, ends)| (verdict, Some(ends)));
    let (flow, port, now) = flow(inventory, asked);
    let judgement = judge_from(policy, inventory, (&flow, port), now);
    let found = told(&judgement.ruling);
    if found != expected.trim() {
        return Some(found);
    }
    let name = |end: &Option<oracle::EndVerdict>| end.as_ref().map_or_else(|| "-".to_owned(), |end| end.rule.clone());
    let found = format!("{} | {}", name(&judgement.source), name(&judgement.destination));
    deciders.filter(|expected| expected.trim() != found).map(|_| found)
}

/// The rows of a file that hold, and what is wrong with the others.
fn run(path: &Path) -> (usize, Vec<String>) {
    let text = fs::read_to_string(path).unwrap();
    let (mut inventory, mut yaml, mut policy) = (Inventory::default(), String::new(), None);
    let (mut section, mut rows, mut wrong) = ("", 0, Vec::new());
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if line.starts_with('[') {
            section = line;
            match line {
                "[inventory]" => inventory = Inventory::default(),
                "[policy]" => (yaml, policy) = (String::new(), None),
                _ => {}
            }
            continue;
        }
        match (section, line.trim()) {
            ("[policy]", _) if line.starts_with("file: ") => {
                yaml = fs::read_to_string(path.parent().unwrap().join(&line["file: ".len()..])).unwrap();
            }
            ("[policy]", _) => yaml.extend([line, "\n"]),
            (_, "") => {}
            (_, comment) if comment.starts_with('#') => {}
            ("[inventory]", line) => add(&mut inventory, line),
            (_, row) => {
                rows += 1;
                let policy = policy.get_or_insert_with(|| {
                    parse(&path.to_string_lossy(), &yaml).unwrap_or_else(|errors| panic!("{}", render_plain(&errors)))
                });
                let found = check(policy, &inventory, row);
                wrong.extend(found.map(|found| format!("{}:{number}\n  {row}\n  found: {found}", path.display())));
            }
        }
    }
    (rows, wrong)
}

#[test]
fn every_row_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let results: Vec<(usize, Vec<String>)> = paths.iter().map(|path| run(path)).collect();
    let wrong: Vec<String> = results.iter().flat_map(|(_, wrong)| wrong.clone()).collect();
    let rows: usize = results.iter().map(|(rows, _)| rows).sum();
    assert!(wrong.is_empty(), "{} of {rows} rows are wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 150, "the corpus holds {rows} rows");
}

//! The book holds together: its files are what the parsers take, its contents have every page, and its links lead somewhere.
//! What its commands do is another test's matter.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod book;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use book::{Block, Page};
use harness::scenario;
use wire::InventoryFile;

const CONTENTS: &str = "docs/SUMMARY.md";
/// What blocks are written in. What is of Rust is cut out and run by the test of the files for CI.
const LANGUAGES: [&str; 6] = ["console", "json", "nft", "rust", "text", "yaml"];
/// A policy that the tutorial has `eastwest init` write.
const WRITTEN: (&str, &str) = ("../policy.yaml", include_str!("../src/init/three-tier/policy.yaml"));
/// The keys of book.toml by their sections; all are text.
const KEYS: [(&str, &[&str]); 2] =
    [("[book]", &["title", "description", "language", "src"]), ("[build]", &["build-dir"])];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What is wrong with a block; policies that a scenario names are blocks of any page, by their first comment line.
fn complaint(place: &str, block: &Block, all: &[(String, Block)]) -> Option<String> {
    let mut open = |name: &str| {
        let named = all.iter().find(|(_, other)| other.file() == Some(name)).map(|(_, other)| other.text.clone());
        named
            .or_else(|| (name == WRITTEN.0).then(|| WRITTEN.1.to_owned()))
            .ok_or_else(|| format!("no block begins with `# {name}`"))
    };
    let head = block.text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
    let wrong = |errors: &policy::Errors| policy::render_plain(errors);
    match head {
        "eastwest: policy/v1" => policy::parse(place, &block.text).err().map(|errors| wrong(&errors)),
        "eastwest: scenario/v1" => {
            let parsed = scenario::parse(place, &block.text, &mut open);
            parsed.err().map(|errors| errors.files().iter().map(wrong).collect::<Vec<_>>().join("\n"))
        }
        head if head.starts_with("managed:") || head.starts_with("vms:") => {
            serde_saphyr::from_str::<InventoryFile>(&block.text).err().map(|error| error.to_string())
        }
        head if head.starts_with("table ") => None,
        head => Some(format!("`{head}` begins neither a policy, nor a scenario, nor an inventory")),
    }
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_yaml_block_is_taken_by_its_parser() {
    let pages = book::pages();
    let place = |page: &Page, block: Block| (format!("{}:{}", page.name, block.line), block);
    let blocks = pages.iter().flat_map(|page| page.blocks().into_iter().map(|block| place(page, block)));
    let (blocks, others): (Vec<_>, Vec<_>) =
        blocks.partition(|(_, block)| ["yaml", "nft"].contains(&block.language.as_str()));
    assert!(blocks.len() >= 5, "only {} blocks found", blocks.len());
    let files =
        blocks.iter().filter_map(|(place, block)| Some(format!("{place}: {}", complaint(place, block, &blocks)?)));
    let unknown = others.iter().filter(|(_, block)| !LANGUAGES.contains(&block.language.as_str()));
    let unknown =
        unknown.map(|(place, block)| format!("{place}: a block of `{}`; commands stand in `console`", block.language));
    none(&files.chain(unknown).collect::<Vec<_>>());
}

/// The targets of a page's links and pictures, each with the number of its line.
fn links(page: &Page) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in page.parts().1 {
        // What stands between backticks is no link.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| (number, target.to_owned())));
    }
    links
}

/// The anchors of a page: its headings in small letters, without punctuation, with `-` for blanks; a repeated one gets a number.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = page.parts().1.into_iter().filter(|(_, line)| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings
        .map(|(_, line)| {
            let anchor = anchor(line.trim_start_matches('#').trim());
            let count = seen.entry(anchor.clone()).and_modify(|count| *count += 1).or_insert(0);
            if *count == 0 { anchor } else { format!("{anchor}-{count}") }
        })
        .collect()
}

/// A relative path from a page's folder, as a path from the root; `None` where it leads out.
fn resolve(page: &str, target: &str) -> Option<PathBuf> {
    let mut path = Path::new(page).parent()?.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// What is wrong with a link.
fn dead(page: &Page, target: &str, anchors: &BTreeMap<PathBuf, BTreeSet<String>>) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { Some(PathBuf::from(&page.name)) } else { resolve(&page.name, file) };
    let Some(path) = path.filter(|path| root().join(path).is_file()) else {
        return Some("leads to no file".to_owned());
    };
    if page.name.starts_with("docs/") && !path.starts_with("docs") {
        return Some("leads out of the book, which is also read without the repository".to_owned());
    }
    let known = anchor.is_none_or(|anchor| anchors.get(&path).is_some_and(|anchors| anchors.contains(anchor)));
    (!known).then(|| "leads to no heading".to_owned())
}

#[test]
fn every_link_leads_to_what_there_is() {
    let pages = book::pages();
    let anchors: BTreeMap<PathBuf, BTreeSet<String>> =
        pages.iter().map(|page| (PathBuf::from(&page.name), anchors(page))).collect();
    let links = pages.iter().flat_map(|page| links(page).into_iter().map(move |(line, target)| (page, line, target)));
    let links: Vec<_> = links.collect();
    assert!(links.len() >= 50, "only {} links found", links.len());
    let dead = |(page, line, target): &(&Page, usize, String)| {
        Some(format!("{}:{line}: `{target}` {}", page.name, dead(page, target, &anchors)?))
    };
    none(&links.iter().filter_map(dead).collect::<Vec<_>>());
}

#[test]
fn the_contents_have_every_page_once() {
    let pages = book::pages();
    let contents = pages.iter().find(|page| page.name == CONTENTS).unwrap();
    let mut listed: Vec<PathBuf> =
        links(contents).iter().map(|(_, target)| resolve(CONTENTS, target).unwrap()).collect();
    listed.sort();
    let mut there: Vec<PathBuf> = pages.iter().map(|page| PathBuf::from(&page.name)).collect();
    there.retain(|path| path.starts_with("docs") && *path != Path::new(CONTENTS));
    there.sort();
    assert_eq!(listed, there);
    for (line, text) in contents.parts().1 {
        let entry = text.trim_start();
        let known = entry.is_empty() || entry.starts_with("# ") || entry.starts_with("- [");
        assert!(known && !entry.starts_with("- []"), "{CONTENTS}:{line}: neither a part nor a page");
    }
}

#[test]
fn the_book_says_how_it_is_built() {
    let text = fs::read_to_string(root().join("docs/book.toml")).unwrap();
    let (mut section, mut found) = ("", BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| unreadable(line));
        let known = KEYS.iter().any(|(name, keys)| *name == section && keys.contains(&key));
        let text = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let text = text.filter(|text| known && !text.contains(['"', '\\'])).unwrap_or_else(|| unreadable(line));
        assert!(found.insert(key, text).is_none(), "`{key}` stands twice");
    }
    assert!(root().join("docs").join(found["src"]).join("SUMMARY.md").is_file());
    assert!(!found["build-dir"].is_empty() && found["build-dir"].starts_with("../target/"));
}

#[allow(clippy::panic, reason = "a test that cannot go on has failed")]
fn unreadable<T>(line: &str) -> T {
    panic!("book.toml: cannot read `{line}`")
}

//! Every YAML block of the book and of the README is a whole text that the parsers take. Rulesets that they name are blocks as well.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use harness::scenario;
use wire::InventoryFile;

struct Block {
    place: String,
    text: String,
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml" | "```nft") => {
                let place = format!("{}:{}", page.display(), number + 2);
                open = Some(Block { place, text: String::new() });
            }
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) => block.text.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    blocks
}

/// What is wrong with a block; policies that a scenario names are blocks of any page, by their first comment line.
fn complaint(block: &Block, all: &[Block]) -> Option<String> {
    let mut open = |name: &str| {
        let named = all.iter().find(|other| other.text.starts_with(&format!("# {name}\n")));
        named.map(|other| other.text.clone()).ok_or_else(|| format!("no block begins with `# {name}`"))
    };
    let head = block.text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
    let wrong = |errors: &policy::Errors| policy::render_plain(errors);
    match head {
        "eastwest: policy/v1" => policy::parse(&block.place, &block.text).err().map(|errors| wrong(&errors)),
        "eastwest: scenario/v1" => {
            let parsed = scenario::parse(&block.place, &block.text, &mut open);
            parsed.err().map(|errors| errors.files().iter().map(wrong).collect::<Vec<_>>().join("\n"))
        }
        head if head.starts_with("managed:") || head.starts_with("vms:") => {
            serde_saphyr::from_str::<InventoryFile>(&block.text).err().map(|error| error.to_string())
        }
        head if head.starts_with("table ") => None,
        head => Some(format!("`{head}` begins neither a policy, nor a scenario, nor an inventory")),
    }
}

#[test]
fn every_yaml_block_is_taken_by_its_parser() {
    let blocks: Vec<Block> = pages().iter().flat_map(|page| blocks(page)).collect();
    assert!(blocks.len() >= 5, "only {} blocks found", blocks.len());
    let complaints = blocks.iter().filter_map(|block| Some(format!("{}: {}", block.place, complaint(block, &blocks)?)));
    let complaints: Vec<String> = complaints.collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

//! The dearest decisions, held: which crate may use which, and what must stay out of their trees.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Each crate of ours with those of ours that it may use. `docs/architecture.md` carries the same table.
const EDGES: [(&str, &[&str]); 14] = [
    ("policy", &[]),
    ("oracle", &["policy"]),
    ("nft", &[]),
    ("wire", &["policy"]),
    ("agent-core", &["policy", "wire"]),
    ("agent", &["agent-core", "nft", "wire"]),
    ("center", &["oracle", "policy", "wire"]),
    ("lab", &["nft"]),
    ("replay", &["policy"]),
    ("reports", &["policy"]),
    ("harness", &["lab", "nft", "oracle", "policy", "reports", "wire"]),
    ("import", &["policy"]),
    ("saboteur", &["agent", "agent-core", "nft", "policy", "wire"]),
    ("eastwest", &["agent", "center", "harness", "import", "lab", "oracle", "policy", "replay", "reports", "wire"]),
];

/// Edges that only tests may use beyond these.
const EDGES_OF_TESTS: [(&str, &[&str]); 4] =
    [("agent-core", &["oracle"]), ("agent", &["center"]), ("import", &["oracle"]), ("replay", &["oracle"])];

/// Crates that are pure: these, and no others, may they use directly.
const PURE: [(&str, &[&str]); 5] = [
    ("policy", &["ipnet", "jiff", "miette", "serde", "serde-saphyr", "strsim", "thiserror"]),
    ("oracle", &["ipnet", "jiff", "policy"]),
    ("import", &["policy"]),
    ("agent-core", &["ipnet", "jiff", "policy", "serde", "serde_json", "thiserror", "wire"]),
    ("replay", &["policy", "serde", "thiserror"]),
];

/// What must not be found below a crate, and why.
const ABSENT: [(&str, &str, &str); 8] = [
    ("eastwest", "aws-lc-rs", "ring is the one provider of cryptography"),
    ("eastwest", "openssl", "ring is the one provider of cryptography"),
    ("agent", "sqlx", "the agent keeps no database"),
    ("agent", "axum", "the agent serves nothing"),
    ("agent", "utoipa", "the agent serves nothing"),
    ("agent", "oracle", "the oracle is independent of what it checks"),
    ("agent-core", "nix", "the core speaks to no kernel"),
    ("center", "nft", "the center touches no kernel"),
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).other_options(["--locked".to_owned()]).exec().unwrap()
}

fn allowed<'a>(table: &'a [(&str, &'a [&'a str])], name: &str) -> &'a [&'a str] {
    table.iter().find(|(found, _)| *found == name).map_or(&[], |(_, edges)| edges)
}

#[test]
fn each_crate_uses_only_what_it_may() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    assert_eq!(ours, EDGES.iter().map(|(name, _)| *name).collect(), "the table names each crate");
    let mut complaints = Vec::new();
    for package in metadata.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(dependency.name.as_str())) {
            let mut may = allowed(&EDGES, &package.name).to_vec();
            if dependency.kind == DependencyKind::Development {
                may.extend(allowed(&EDGES_OF_TESTS, &package.name));
            }
            if !may.contains(&dependency.name.as_str()) {
                complaints.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn the_pure_crates_use_only_plain_values() {
    let metadata = metadata();
    for (name, may) in PURE {
        let package = metadata.workspace_packages().into_iter().find(|package| package.name == name).unwrap();
        let direct = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        let other: Vec<&str> = direct.map(|found| found.name.as_str()).filter(|found| !may.contains(found)).collect();
        assert!(other.is_empty(), "{name} uses {other:?}");
    }
}

/// The names of all packages below one, dependencies of tests left out.
fn below(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&PackageId, _> =
        metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let root = metadata.workspace_packages().into_iter().find(|package| package.name == name).unwrap();
    let mut seen = BTreeSet::from([&root.id]);
    let mut open = vec![&root.id];
    while let Some(id) = open.pop() {
        let used = nodes[id]
            .deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
        open.extend(used.map(|dependency| &dependency.pkg).filter(|package| seen.insert(package)));
    }
    seen.iter().map(|id| metadata[id].name.to_string()).collect()
}

#[test]
fn heavy_and_foreign_things_stay_out() {
    let metadata = metadata();
    assert!(below(&metadata, "center").contains("sqlx"), "the walk finds what is there");
    for (name, absent, why) in ABSENT {
        assert!(!below(&metadata, name).contains(absent), "{absent} is below {name}, but {why}");
    }
}

#[test]
fn the_book_carries_the_same_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let text = fs::read_to_string(path).unwrap();
    for (name, edges) in EDGES {
        let edges: Vec<String> = edges.iter().map(|edge| format!("`{edge}`")).collect();
        let edges = if edges.is_empty() { "nothing of ours".to_owned() } else { edges.join(", ") };
        let row = format!("| `{name}` | {edges} |");
        assert!(text.contains(&row), "docs/architecture.md has no row that begins `{row}`");
    }
}

/// Every crate with its features, as one of the README's commands compiles it for this machine's programs.
fn compiled(arguments: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap();
    let mut tree = std::process::Command::new(cargo);
    tree.args(["tree", "--locked", "--no-dedupe", "--prefix", "none", "--format", "{p} {f}"]).args(arguments);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn what_the_program_is_compiled_from_is_not_compiled_anew_for_the_tests() {
    let program = compiled(&["--package", "eastwest", "--edges", "normal"]);
    let tests = compiled(&["--workspace", "--edges", "normal,dev"]);
    assert!(program.len() > 100, "only {} crates", program.len());
    let anew: Vec<&String> = program.difference(&tests).collect();
    assert!(anew.is_empty(), "a dependency of tests alone asks more of these: ask for it in Cargo.toml too: {anew:?}");
}
